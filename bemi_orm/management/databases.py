"""From Django's `DATABASES` to libpq keywords, and from app and model labels to tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

from bemi_orm.exceptions import ConfigurationError

LIBPQ_OPTIONS: Final = frozenset(
    "application_name channel_binding connect_timeout gssencmode hostaddr keepalives "  # noqa: SIM905
    "keepalives_count "
    "keepalives_idle keepalives_interval krbsrvname options passfile service sslcert sslcrl sslkey sslmode "
    "sslnegotiation sslpassword sslrootcert target_session_attrs tcp_user_timeout".split()
)
"""What OPTIONS may hold for libpq; the rest is for Django or for its driver."""


def libpq_parameters(alias: str = DEFAULT_DB_ALIAS) -> dict[str, str]:
    """Give the connection keywords of an alias; raises ConfigurationError where it is not PostgreSQL."""
    if alias not in connections.settings:
        raise ConfigurationError(
            f"DATABASES has no alias {alias!r}; see BEMI_DATABASE and BEMI_SOURCE_DATABASE."
        )
    if connections[alias].vendor != "postgresql":
        raise ConfigurationError(f"The alias {alias!r} is not PostgreSQL; bemi_orm captures PostgreSQL only.")
    settings: Mapping[str, Any] = connections[alias].settings_dict
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    own = {keyword: str(settings[name]) for name, keyword in names.items() if settings.get(name)}
    options = {name: str(value) for name, value in settings["OPTIONS"].items() if name in LIBPQ_OPTIONS}
    return options | own


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
