"""From Django's `DATABASES` to libpq keywords, and from app and model labels to tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model
from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn

from bemi_orm.exceptions import ConfigurationError

NOT_FOR_LIBPQ: Final = frozenset(
    {"async", "async_", "autocommit", "client_encoding", "connection_factory", "context", "cursor_factory"}
    | {"prepare_threshold", "row_factory"}
)
"""What Django hands to its driver beside libpq's keywords; the encoding is ours to choose."""


def libpq_parameters(alias: str = DEFAULT_DB_ALIAS) -> dict[str, str]:
    """Give the connection keywords of an alias, as its backend makes them at this moment.

    So a backend that fetches a password or a token is asked for it.
    Raises ConfigurationError where the alias is not PostgreSQL, or has an option that libpq does not know.
    """
    if alias not in connections.settings:
        raise ConfigurationError(
            f"DATABASES has no alias {alias!r}; see BEMI_DATABASE and BEMI_SOURCE_DATABASE."
        )
    if connections[alias].vendor != "postgresql":
        raise ConfigurationError(f"The alias {alias!r} is not PostgreSQL; bemi_orm captures PostgreSQL only.")
    try:
        given = connections[alias].get_connection_params()
        parameters = {
            name: str(value)
            for name, value in given.items()
            if name not in NOT_FOR_LIBPQ and value is not None
        }
        make_dsn(**parameters)
    except (ImproperlyConfigured, ProgrammingError) as error:
        raise ConfigurationError(f"DATABASES[{alias!r}]: {error}".strip()) from error
    return parameters


def table_patterns(labels: Iterable[str]) -> tuple[str, ...]:
    """Turn app labels and model labels into table names; other patterns stay as they are.

    Example: `["todos", "auth.User", "log_*"]` gives all tables of `todos`, then `auth_user` and `log_*`.
    """
    return tuple(pattern for label in labels for pattern in _expand(label))


def _expand(label: str) -> Iterator[str]:
    app_label, _, model_name = label.partition(".")
    if app_label not in apps.app_configs:
        yield label
    elif not model_name:
        yield from map(_table, apps.get_app_config(app_label).get_models(include_auto_created=True))
    else:
        try:
            yield _table(apps.get_model(app_label, model_name))
        except LookupError:
            yield label  # a schema may be called like an app


def _table(model: type[Model]) -> str:
    """Give the table's name as a quoted pattern; a `db_table` of `schema"."table` keeps its schema."""
    return '"' + model._meta.db_table.strip('"') + '"'
