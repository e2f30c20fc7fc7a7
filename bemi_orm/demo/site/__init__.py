"""The demo's todo site: two models, a JSON API and one page."""
