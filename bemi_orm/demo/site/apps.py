"""The Django app of the demo site."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Configuration of the app with the label `demo`."""

    name = "bemi_orm.demo.site"
    label = "demo"
