"""The demo's todo site: two models, a JSON API, one page, the admin and the REST API."""
