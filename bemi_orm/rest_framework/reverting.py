"""Reverts over HTTP: what a user may not see, they may not undo either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict, cast
from uuid import UUID

from django.core.exceptions import FieldError
from django.db import DataError
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError

from bemi_orm.exceptions import BemiError, RevertConflict
from bemi_orm.masking import Masks
from bemi_orm.models import Change
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.revert.plan import RevertPlan, RevertResult
from bemi_orm.revert.steps import ABSENT, PARKED, ColumnEffect, Conflict, Culprit, Effect, Step

Changes = ChangeQuerySet[Change]


class RevertOrder(TypedDict, total=False):
    """What a revert is asked to do; see `RevertPlan.apply`."""

    fields: list[str] | None
    on_conflict: str
    missing_parents: str


class RevertOrderSerializer(serializers.Serializer[Any]):
    """Body of a revert; all of it is optional."""

    fields = serializers.ListField(  # type: ignore[assignment]
        child=serializers.CharField(max_length=200),
        required=False,
        allow_null=True,
        allow_empty=False,
        help_text="Undo only these fields of a row that was updated.",
    )
    on_conflict = serializers.ChoiceField(["raise", "skip", "overwrite"], default="raise")
    missing_parents = serializers.ChoiceField(["conflict", "skip", "null", "restore"], default="conflict")

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what is not known: a misspelt key would undo more than was meant."""
        known = {*self.get_fields(), "csrfmiddlewaretoken"}  # which the page for people sends
        if isinstance(data, dict) and (unknown := data.keys() - known):
            raise ValidationError({ascii(name)[1:-1]: ["There is no such key."] for name in unknown})
        return super().to_internal_value(data)


class ObjectRevertSerializer(RevertOrderSerializer):
    """Body of a revert of an object to a moment."""

    to = serializers.CharField(
        max_length=100,
        help_text="A time, the id of a change of the object (the moment right after it), or an LSN.",
    )


class EffectSerializer(serializers.Serializer[ColumnEffect]):
    """What becomes of a column; without `old` there is no row before, without `new` none after."""

    column = serializers.CharField()
    old = serializers.JSONField(required=False, allow_null=True)
    new = serializers.JSONField(required=False, allow_null=True)
    is_made_up = serializers.BooleanField(help_text="A value made up at apply, which makes room for a while.")

    def to_representation(self, instance: ColumnEffect) -> dict[str, Any]:
        """Leave out the side without a row."""
        ends = {"old": instance.old, "new": instance.new}
        shown = {name: None if end is PARKED else end for name, end in ends.items() if end is not ABSENT}
        return {"column": instance.column, **shown, "is_made_up": PARKED in (instance.old, instance.new)}


class StepSerializer(serializers.Serializer[Step]):
    """One statement on one row."""

    schema = serializers.CharField(source="table.schema")
    table = serializers.CharField(source="table.table")
    primary_key = serializers.CharField(source="key", allow_null=True)
    effect = serializers.ChoiceField([effect.value for effect in Effect])
    columns = EffectSerializer(many=True)
    changes = serializers.ListField(child=serializers.UUIDField())
    is_detour = serializers.BooleanField(help_text="Only makes room for another step.")


class CulpritSerializer(serializers.Serializer[Culprit]):
    """A change that stands in the way."""

    change = serializers.UUIDField()
    committed_at = serializers.DateTimeField()
    context = serializers.DictField()  # type: ignore[assignment]


class ConflictSerializer(serializers.Serializer[Conflict]):
    """Why a row cannot simply be reverted."""

    kind = serializers.CharField()
    schema = serializers.CharField(source="table.schema")
    table = serializers.CharField(source="table.table")
    primary_key = serializers.CharField(source="key", allow_null=True)
    columns = serializers.ListField(child=serializers.CharField())
    detail = serializers.CharField()
    by = CulpritSerializer(many=True)


class PlanSerializer(serializers.Serializer[RevertPlan]):
    """What it takes, and what stands in the way."""

    changes = serializers.ListField(child=serializers.UUIDField())
    steps = StepSerializer(many=True)
    conflicts = ConflictSerializer(many=True)


class ResultSerializer(serializers.Serializer[RevertResult]):
    """What was done, and which rows were left alone (`on_conflict: skip`)."""

    steps = StepSerializer(many=True)
    skipped = ConflictSerializer(many=True)


class RefusalSerializer(serializers.Serializer[RevertConflict]):
    """Nothing was changed, and why."""

    detail = serializers.CharField()
    conflicts = ConflictSerializer(many=True, required=False)


@contextmanager
def fitting() -> Iterator[None]:
    """Make plans in it: a value that its column cannot hold any more is a reason, not a failure."""
    try:
        yield
    except DataError:
        raise BemiError("A value from the past does not fit into its column as that is now.") from None


def shown_plan(plan: RevertPlan, seen: Changes, masks: Masks) -> dict[str, Any]:
    """Give a plan as JSON. Raises PermissionDenied where it takes changes that the user does not see."""
    _ensure_seen(set(plan.changes), seen)
    return {
        "changes": plan.changes,
        "steps": shown_steps(plan.steps, masks),
        "conflicts": shown_conflicts(plan.conflicts, seen, masks),
    }


def shown_result(result: RevertResult, seen: Changes, masks: Masks) -> dict[str, Any]:
    """Give what was done as JSON."""
    skipped = shown_conflicts(result.skipped, seen, masks)
    return {"steps": shown_steps(result.steps, masks), "skipped": skipped}


def shown_steps(steps: tuple[Step, ...], masks: Masks) -> Any:
    """Give steps as JSON."""
    return cast(Any, StepSerializer)([masks.step(step) for step in steps], many=True).data


def shown_conflicts(conflicts: tuple[Conflict, ...], seen: Changes, masks: Masks) -> Any:
    """Give conflicts as JSON; changes in the way that the user does not see are left out."""
    visible = _visible(_causes(conflicts), seen)
    shown = cast(Any, ConflictSerializer)(list(map(masks.conflict, conflicts)), many=True).data
    for conflict, data in zip(conflicts, shown, strict=True):
        pairs = zip(conflict.by, data["by"], strict=True)
        data["by"] = [item for culprit, item in pairs if culprit.change in visible]
    return shown


def apply_plan(plan: RevertPlan, order: RevertOrder, seen: Changes, masks: Masks) -> RevertResult:
    """Take the steps. Raises RevertConflict, ValidationError, and PermissionDenied for what is hidden.

    What it undoes has to be seen, and so has what it overwrites: that is undone as well.
    """
    fields = order.get("fields")
    overwritten = _causes(plan.conflicts) if order["on_conflict"] == "overwrite" else set()
    _ensure_seen({*plan.changes, *overwritten}, seen)
    written = {Effect.UPDATE, Effect.INSERT} if order["on_conflict"] == "overwrite" else {Effect.UPDATE}
    _ensure_shown([step for step in plan.steps if step.effect in written], fields, masks)
    try:
        return plan.apply(order["on_conflict"], fields)  # type: ignore[arg-type]
    except FieldError as error:
        raise ValidationError({"fields": [str(error)]}) from None


def _ensure_shown(steps: list[Step], fields: list[str] | None, masks: Masks) -> None:
    """A masked value must not be put back unseen: an old password would open the account again.

    A row that is gone comes back as a whole, but where it may overwrite, it may turn out to be there.
    """
    for step in steps:
        model = Change(schema=step.table.schema, table=step.table.table).row_model
        names = (
            {} if model is None else {str(f.column): {f.name, f.attname} for f in model._meta.concrete_fields}
        )
        wanted = (c for c in step.touched if fields is None or {c, *names.get(c, ())} & set(fields))
        hidden = sorted(column for column in wanted if masks.hides_column(*step.table, column))
        if hidden:
            raise PermissionDenied(
                f"{', '.join(hidden)} of {step.table} is masked for you. Name other fields."
                if step.effect is Effect.UPDATE
                else f"{', '.join(hidden)} of {step.table} is masked for you, so you cannot overwrite."
            )


def _ensure_seen(changes: set[UUID], seen: Changes) -> None:
    if _visible(changes, seen) < changes:
        raise PermissionDenied("To undo this takes changes that you may not see.")


def _visible(changes: set[UUID], seen: Changes) -> set[UUID]:
    return set(seen.filter(pk__in=changes).values_list("pk", flat=True)) if changes else set()


def _causes(conflicts: tuple[Conflict, ...]) -> set[UUID]:
    return {culprit.change for conflict in conflicts for culprit in conflict.by}
