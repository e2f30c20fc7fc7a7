"""Changes as JSON, with what the user is not to see masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from django.db.models import Model
from rest_framework import serializers

from bemi_orm.choices import Operation
from bemi_orm.conf import settings
from bemi_orm.diffing import UNKNOWN, FieldChange
from bemi_orm.masking import Masks
from bemi_orm.models import Change
from bemi_orm.rest_framework.parameters import FIELDS
from bemi_orm.values.renames import with_current_names


class FieldDiff(TypedDict):
    """One field of a diff; sides whose value is not known are named, and null."""

    field: str
    old: Any
    new: Any
    unknown: list[str]


def masks_of(field: Any) -> Masks:
    """Give what is masked for who reads this; where nobody is named, what is masked for anybody."""
    masks: Masks | None = field.context.get("masks")
    return Masks.from_setting(settings.MASKED) if masks is None else masks


class _ImageField(serializers.DictField):
    def __init__(self, side: str, **options: Any) -> None:
        self.side = side
        super().__init__(source="*", **options)

    def to_representation(self, value: Any) -> dict[str, Any]:
        return masks_of(self).image(value.schema, value.table, getattr(value, self.side))


class _ContextField(serializers.DictField):
    def to_representation(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return masks_of(self).context(value)


class FieldDiffSerializer(serializers.Serializer[Any]):
    """One field that a change changed, with the values that its column had."""

    field = serializers.CharField()
    old = serializers.JSONField(allow_null=True)
    new = serializers.JSONField(allow_null=True)
    unknown = serializers.ListField(
        child=serializers.ChoiceField(["old", "new"]), help_text="Sides that the WAL did not carry."
    )


class _DiffField(serializers.ListField):
    child = FieldDiffSerializer()

    def to_representation(self, value: Change) -> list[FieldDiff]:  # type: ignore[override]
        return diff_of(value, masks_of(self))


class _ModelField(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            source="row_model",
            allow_null=True,
            help_text="Label of the table's model, if it has one.",
            **options,
        )

    def to_representation(self, value: Any) -> str:
        return str(label_of(value))


class ChangeSerializer(serializers.Serializer[Change]):
    """A change, to be read only; `fields` of the context selects, `masks` hides."""

    id = serializers.UUIDField(required=False)
    database = serializers.CharField(required=False)
    schema = serializers.CharField(required=False)
    table = serializers.CharField(required=False)
    model = _ModelField(required=False)
    primary_key = serializers.CharField(required=False, allow_null=True)
    previous_primary_key = serializers.CharField(required=False, allow_null=True)
    operation = serializers.ChoiceField(Operation.values, required=False)
    before = _ImageField(
        "before",
        required=False,
        help_text="The row before, as to_jsonb gives it; a key that lacks is not known.",
    )
    after = _ImageField("after", required=False, help_text="The row after.")
    context = _ContextField(required=False, help_text="Who, where, how.")  # type: ignore[assignment]
    committed_at = serializers.DateTimeField(required=False)
    transaction_id = serializers.IntegerField(required=False)
    position = serializers.IntegerField(required=False, help_text="LSN of the commit, as a number.")
    ordinal = serializers.IntegerField(required=False, help_text="Place in the transaction, from 0.")
    diff = _DiffField(source="*", required=False)
    queued_at = serializers.DateTimeField(required=False)
    created_at = serializers.DateTimeField(required=False)

    def get_fields(self) -> dict[str, Any]:
        """Leave only what is wanted."""
        found = super().get_fields()
        return {name: found[name] for name in cast(Any, self.context).get("fields") or FIELDS}


class InstanceSerializer(serializers.Serializer[Any]):
    """The row that a change is about, under the names of its model's fields."""

    model = serializers.CharField(allow_null=True)
    primary_key = serializers.CharField(allow_null=True)
    values = serializers.DictField(
        allow_null=True, help_text="As the change left it, or was when it deleted it."
    )
    unknown = serializers.ListField(child=serializers.CharField(), help_text="Fields that are not known.")


class StateSerializer(serializers.Serializer[Change]):
    """A row as it was, by the change that it owes its state to."""

    schema = serializers.CharField()
    table = serializers.CharField()
    model = _ModelField()
    primary_key = serializers.CharField()
    row = _ImageField("after")
    change = serializers.UUIDField(source="id")
    committed_at = serializers.DateTimeField()


class GoneSerializer(serializers.Serializer[Any]):
    """An object that is gone, as the viewset shows it, and the change that tells of its end."""

    object = serializers.DictField()
    change = ChangeSerializer()


class CountSerializer(serializers.Serializer[Any]):
    """A value and how many changes have it."""

    value = serializers.JSONField(allow_null=True)
    count = serializers.IntegerField()


class BucketSerializer(serializers.Serializer[Any]):
    """A span of time, an operation, and how many changes."""

    start = serializers.DateTimeField()
    operation = serializers.CharField()
    count = serializers.IntegerField()


class FacetsSerializer(serializers.Serializer[Any]):
    """Counts in a time; `by` has a list for each facet."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    by = serializers.DictField(child=CountSerializer(many=True))
    per = serializers.ChoiceField(["minute", "hour", "day"], allow_null=True)
    buckets = BucketSerializer(many=True)


def diff_of(change: Change, masks: Masks) -> list[FieldDiff]:
    """Give the diff with the values as `to_jsonb` has them, so that each has an exact form in JSON."""
    model = change.row_model
    old, new = (values_of(model, image) for image in (change.before, change.after))
    parts = (
        FieldChange(
            part.field,
            part.old if part.old is None or part.old is UNKNOWN else old[part.field],
            part.new if part.new is None or part.new is UNKNOWN else new[part.field],
        )
        for part in change.diff()
    )
    return [_field_diff(part) for part in masks.diff(change, parts)]


def instance_of(change: Change, masks: Masks) -> dict[str, Any]:
    """Give the row of a change, by the names of its fields."""
    model, instance = change.row_model, change.instance
    image = change.before if change.operation == Operation.DELETE else change.after
    values = values_of(model, masks.image(change.schema, change.table, image))
    unknown = sorted(instance.get_deferred_fields() - values.keys()) if instance is not None else []
    return {
        "model": label_of(model),
        "primary_key": change.primary_key,
        "values": values if image else None,
        "unknown": unknown,
    }


def values_of(model: type[Model] | None, image: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values of an image under the attributes of the model's fields; other columns as they are."""
    if model is None:
        return dict(image)
    names = {str(field.column): field.attname for field in model._meta.concrete_fields}
    return {names.get(name, name): value for name, value in with_current_names(model, image).items()}


def label_of(model: type[Model] | None) -> str | None:
    """Give the label, such as `auth.User`."""
    return None if model is None else model._meta.label


def _field_diff(part: FieldChange) -> FieldDiff:
    sides = {"old": part.old, "new": part.new}
    unknown = [side for side, value in sides.items() if value is UNKNOWN]
    known = {side: None if value is UNKNOWN else value for side, value in sides.items()}
    return FieldDiff(field=part.field, old=known["old"], new=known["new"], unknown=unknown)
