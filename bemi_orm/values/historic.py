"""Which model instances are of the past, and how their parts know them."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Model

EXTRA: Final = "bemi_extra"
"""The attribute of a historic instance that holds what its model has no field for."""


class Itself:
    """What the parts of a historic instance know it by; each copy of the instance has one of its own."""

    instance: Any

    def __init__(self, instance: Model | None = None) -> None:
        self.instance = instance


def is_historic(instance: Any) -> bool:
    """Whether an instance was rebuilt from a row image, and not saved since."""
    return EXTRA in getattr(instance, "__dict__", ()) and instance._state.adding
