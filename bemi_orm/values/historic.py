"""Which model instances are of the past."""

from __future__ import annotations

from typing import Any, Final

EXTRA: Final = "bemi_extra"
"""The attribute of a historic instance that holds what its model has no field for."""


def is_historic(instance: Any) -> bool:
    """Whether an instance was rebuilt from a row image, and not saved since."""
    return EXTRA in getattr(instance, "__dict__", ()) and instance._state.adding
