"""Stored values that a column cannot hold any more, as its type was changed since. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from bemi_orm.revert.steps import UNFIT, Image

Takes: TypeAlias = Callable[[str, Sequence[Any]], bool]
"""Tells whether a column takes all these values."""


def fit(images: Sequence[Image], columns: Iterable[str], takes: Takes) -> list[dict[str, Any]]:
    """Give the images with UNFIT in place of each value that its column does not take."""
    found = [dict(image) for image in images]
    for column in columns:
        holders = [image for image in found if column in image]
        for image in _refused(column, holders, takes):
            image[column] = UNFIT
    return found


def fitting(image: Image) -> dict[str, Any]:
    """Give the image without what does not fit."""
    return {column: value for column, value in image.items() if value is not UNFIT}


def unfit(image: Image) -> dict[str, Any]:
    """Give what does not fit, by column."""
    return {column: value for column, value in image.items() if value is UNFIT}


def _refused(column: str, images: list[dict[str, Any]], takes: Takes) -> list[dict[str, Any]]:
    """Halve the images until those that are refused stand alone, as the server names none of them."""
    if not images or takes(column, [image[column] for image in images]):
        return []
    if len(images) == 1:
        return images
    half = len(images) // 2
    return _refused(column, images[:half], takes) + _refused(column, images[half:], takes)
