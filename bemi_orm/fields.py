"""The two kinds of JSON in `changes`: images of rows, and contexts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import JSONField
from django.db.models.fields.json import KeyTransformFactory

from bemi_orm.lookups import ContextKeyTransformFactory
from bemi_orm.values.rowjson import ExactDecoder, ExactEncoder


class RowImageField(JSONField):
    """A row as `to_jsonb` gives it; its numbers are int or Decimal, never float."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(encoder=ExactEncoder, decoder=ExactDecoder, **kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Leave out what the class itself sets."""
        return _without_codec(super().deconstruct())


class ContextField(JSONField):
    """A context; `exact` and `in` on a key path reach the GIN index, with Django's own results."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(encoder=DjangoJSONEncoder, **kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Leave out what the class itself sets."""
        return _without_codec(super().deconstruct())

    def get_transform(self, name: str) -> Any:
        """Give the transform for a key of the context; other transforms are Django's."""
        transform = super().get_transform(name)
        if isinstance(transform, KeyTransformFactory):
            return ContextKeyTransformFactory(name)
        return transform


def _without_codec(
    parts: tuple[str, str, Sequence[Any], dict[str, Any]],
) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
    name, path, args, options = parts
    codec = {"encoder", "decoder"}
    return name, path, args, {option: value for option, value in options.items() if option not in codec}
