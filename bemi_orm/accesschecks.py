"""System checks of who sees what: a wrong name here would show what was to be hidden."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.db.models import Model

from bemi_orm.access import access
from bemi_orm.checks import Apps, with_readable_settings
from bemi_orm.conf import settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.history.tracked import model_of_table
from bemi_orm.masking import CONTEXT, field_named, model_of_label

HINT: Final = (
    'The form is {"app.Model": ["field"], "schema.table": ["column"], "table": ["column"], '
    '"context": ["key", "key.key"]}.'
)


@register("bemi_orm")
@with_readable_settings
def check_access(app_configs: Apps, **kwargs: Any) -> Iterator[CheckMessage]:
    """E005: BEMI_ACCESS names no class that can say who may see what."""
    hint = "Give the dotted path of a subclass of bemi_orm.access.Access."
    try:
        access()
    except ConfigurationError as error:
        yield Error(str(error), hint=hint, id="bemi_orm.E005")


@register("bemi_orm")
@with_readable_settings
def check_masked(app_configs: Apps, **kwargs: Any) -> Iterator[CheckMessage]:
    """E006: BEMI_MASKED names what does not exist, or the key of a row, which cannot be masked."""
    for name, hidden in settings.MASKED.items():
        for fault in _faults(name, hidden):
            yield Error(f"BEMI_MASKED: {fault}", hint=HINT, id="bemi_orm.E006")


def _faults(name: str, hidden: object) -> Iterator[str]:
    if not isinstance(hidden, list | tuple | set | frozenset) or not all(isinstance(n, str) for n in hidden):
        yield f"{name!r} has {hidden!r}, which is not a list of strings."
    elif model := model_of_label(name):
        yield from _faults_of_fields(model, hidden)
    elif name != CONTEXT and name.partition(".")[0] in apps.app_configs:
        yield f"there is no model {name}."
    elif name != CONTEXT and (model := model_of_table(*name.rpartition(".")[::2])):
        yield from _faults_of_keys(model, hidden)


def _faults_of_fields(model: type[Model], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if field_named(model, name) is None:
            yield f"the model {model._meta.label} has no field {name!r} with a column."
    yield from _faults_of_keys(model, names)


def _faults_of_keys(model: type[Model], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        field = field_named(model, name)
        if field is not None and field in field.model._meta.pk_fields:
            yield f"{name!r} is the key of {model._meta.label}, which names its rows everywhere."
