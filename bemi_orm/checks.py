"""System checks: settings that would fail later, or silently keep history from being complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import Any, Final, TypeAlias

from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Info, Tags, register
from django.core.checks import Warning as CheckWarning
from django.db import connections, router
from django.db.migrations.recorder import MigrationRecorder
from django.utils.module_loading import import_string

from bemi_orm.conf import KNOWN_NAMES, PREFIX, find_fault, settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.operations import find_table, has_publication

MIDDLEWARE: Final = "bemi_orm.BemiMiddleware"
ROUTER: Final = "bemi_orm.BemiDatabaseRouter"
FIRST_MIGRATION: Final = ("bemi_orm", "0001_initial")

Apps = Sequence[AppConfig] | None
Check: TypeAlias = Callable[..., Iterator[CheckMessage]]


def with_readable_settings(check: Check) -> Callable[..., list[CheckMessage]]:
    """A check that reads a setting of a wrong type has nothing to add to E004."""

    @wraps(check)
    def run(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
        try:
            return list(check(app_configs, **kwargs))
        except ConfigurationError:
            return []

    return run


@register("bemi_orm")
def check_setting_names(app_configs: Apps, **kwargs: Any) -> Iterator[CheckMessage]:
    """W001: a setting of ours that does not exist, most often a spelling mistake."""
    for name in dir(django_settings):
        if name.startswith(PREFIX) and name not in KNOWN_NAMES:
            close = get_close_matches(name, KNOWN_NAMES, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(sorted(KNOWN_NAMES))}."
            yield CheckWarning(f"The setting {name} does not exist.", hint=hint, id="bemi_orm.W001")


@register("bemi_orm")
def check_setting_types(app_configs: Apps, **kwargs: Any) -> Iterator[CheckMessage]:
    """E004: a setting of a wrong type, such as one string for a list of them."""
    for name in sorted(KNOWN_NAMES):
        if hasattr(django_settings, name):
            reason = find_fault(name.removeprefix(PREFIX), getattr(django_settings, name))
            if reason:
                yield Error(reason, hint="See docs/settings.md.", id="bemi_orm.E004")


@register("bemi_orm")
@with_readable_settings
def check_renamed(app_configs: Apps, **kwargs: Any) -> Iterator[CheckMessage]:
    """W005: BEMI_RENAMED speaks of a model or a column that does not exist, and so has no effect."""
    hint = 'The form is {"app.Model": {"tables": ["former"], "columns": {"former": "present"}}}.'
    for label, former in settings.RENAMED.items():
        try:
            fields = apps.get_model(label)._meta.concrete_fields
        except (LookupError, ValueError) as error:
            yield CheckWarning(f"BEMI_RENAMED: {error}", hint=hint, id="bemi_orm.W005")
            continue
        for column in set(former.get("columns", {}).values()) - {field.column for field in fields}:
            message = f"BEMI_RENAMED: the model {label} has no column {column!r}."
            yield CheckWarning(message, hint=hint, id="bemi_orm.W005")


@register("bemi_orm")
@with_readable_settings
def check_context_function(app_configs: Apps, **kwargs: Any) -> Iterator[CheckMessage]:
    """E001: BEMI_CONTEXT_FUNCTION cannot be imported or called."""
    path, number = settings.CONTEXT_FUNCTION, "bemi_orm.E001"
    hint = 'Give the dotted path of a function that takes a request and gives a dict: "app.module.function".'
    try:
        function = import_string(path)
    except (ImportError, AttributeError, TypeError) as error:
        yield Error(f"BEMI_CONTEXT_FUNCTION {path!r} cannot be imported: {error}", hint=hint, id=number)
    else:
        if not callable(function):
            yield Error(f"BEMI_CONTEXT_FUNCTION {path!r} is not callable.", hint=hint, id=number)


@register("bemi_orm")
@with_readable_settings
def check_databases(app_configs: Apps, **kwargs: Any) -> Iterator[CheckMessage]:
    """E002 and E003: an alias that DATABASES does not have, or that is not PostgreSQL."""
    for setting, alias in (("DATABASE", settings.DATABASE), ("SOURCE_DATABASE", settings.SOURCE_DATABASE)):
        name = PREFIX + setting
        if alias not in connections.settings:
            yield Error(
                f"{name} is {alias!r}, which DATABASES does not have.",
                hint=f"There are: {', '.join(sorted(connections.settings))}.",
                id="bemi_orm.E002",
            )
        elif connections[alias].vendor != "postgresql":
            yield Error(
                f"{name} is {alias!r}, which is not PostgreSQL but {connections[alias].vendor}.",
                hint=f"Let {name} name a PostgreSQL alias.",
                id="bemi_orm.E003",
            )


@register("bemi_orm")
@with_readable_settings
def check_router(app_configs: Apps, **kwargs: Any) -> Iterator[CheckMessage]:
    """W002: queries on changes would go to another database than the one that holds them."""
    from bemi_orm.models import Change

    alias = settings.DATABASE
    used = router.db_for_read(Change)
    if used != alias:
        yield CheckWarning(
            f"Queries on changes go to {used!r}, but BEMI_DATABASE is {alias!r}.",
            hint=f'Add "{ROUTER}" to DATABASE_ROUTERS, before routers that answer for every app.',
            id="bemi_orm.W002",
        )


@register("bemi_orm")
def check_middleware(app_configs: Apps, **kwargs: Any) -> Iterator[CheckMessage]:
    """I001: changes made by requests would not tell who made them."""
    if not any(_is_middleware(path) for path in django_settings.MIDDLEWARE):
        yield Info(
            "Changes made by requests are stored without the request's context.",
            hint=f'Add "{MIDDLEWARE}" to MIDDLEWARE.',
            id="bemi_orm.I001",
        )


@register(Tags.database)
@with_readable_settings
def check_table(
    app_configs: Apps, databases: Iterable[str] | None = None, **kwargs: Any
) -> Iterator[CheckMessage]:
    """W003 and W004: `changes` is missing, or is another's; only for `check --database` and `migrate`.

    That it is missing is no news before the first `migrate`, which makes it.
    """
    alias = settings.DATABASE
    if alias not in (databases or ()) or connections[alias].vendor != "postgresql":
        return
    found = find_table(connections[alias])
    if not found.exists:
        is_recorded = FIRST_MIGRATION in MigrationRecorder(connections[alias]).applied_migrations()
        if is_recorded or _is_captured(databases or ()):
            yield CheckWarning(
                f"{alias!r} has no table changes.",
                hint=_migrate_hint(alias, is_recorded=is_recorded),
                id="bemi_orm.W003",
            )
    elif not found.is_ours:
        yield CheckWarning(
            f"{alias!r} has a table changes that bemi_orm did not make.",
            hint=f"Move {found.schema}.changes to another schema, then run migrate; or set BEMI_DATABASE.",
            id="bemi_orm.W004",
        )


def _is_middleware(path: str) -> bool:
    """Whether it is ours or a subclass of ours."""
    from bemi_orm.transport.middleware import BemiMiddleware

    try:
        middleware = import_string(path)
    except ImportError:
        return False  # Django says so itself, and better
    return isinstance(middleware, type) and issubclass(middleware, BemiMiddleware)


def _is_captured(databases: Iterable[str]) -> bool:
    alias = settings.SOURCE_DATABASE
    return alias in databases and has_publication(connections[alias])


def _migrate_hint(alias: str, *, is_recorded: bool) -> str:
    """A migration that ran while BEMI_DATABASE named another alias is recorded here, but made nothing."""
    migrate = f"manage.py migrate --database={alias} bemi_orm"
    return f"Run: {migrate} zero && {migrate}" if is_recorded else f"Run: {migrate}"
