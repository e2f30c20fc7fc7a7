"""Every `BEMI_*` setting, with its type and default, read from Django's settings at the moment of use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django.conf import settings as django_settings

from bemi_orm.exceptions import ConfigurationError

PREFIX: Final = "BEMI_"


class Settings:
    """Typed view of the `BEMI_*` settings; an attribute is read afresh at each use.

    Raises ConfigurationError for a value of another type than the one declared here.

    CONTEXT_FUNCTION: dotted path of a function that takes the request and gives a dict.
    CONTEXT_MAX_BYTES: limit of the context's JSON; beyond it the largest keys give way to a marker.
    COMMANDS_WITHOUT_CONTEXT: management commands whose writes do not carry the command's name.
    CAPTURE_SQL: whether the statement, with placeholders and without parameters, is part of the context.
    SQL_MAX_LENGTH: characters of the statement that are kept.
    DATABASE: alias that holds `changes`; by default `bemi` if `DATABASES` has it, else `default`.
    SOURCE_DATABASE: alias whose changes are captured.
    SLOT, PUBLICATION: names in the source database.
    REPLICA_IDENTITY: `full`, so that the WAL holds whole old rows, or `default`, only their keys.
    RENAMED: former names by model: `{"todos.Todo": {"tables": ["item"], "columns": {"title": "task"}}}`.
    TRACK, IGNORE: tables, as `table`, `schema.table`, `app_label`, `app_label.Model`, or a glob of these.
    USER_KEY: the context's key, or path `request__user`, that names the user; `by_user` goes by it.
    ACCESS: dotted path of the subclass of `bemi_orm.access.Access` that says who may see and revert what.
    MASKED: fields by model, columns by table, and keys of the `context`, that are hidden without the
        permission `bemi_orm.view_masked`; by default the user model's password.
    """

    CONTEXT_FUNCTION: str = "bemi_orm.transport.request.default_request_context"
    CONTEXT_MAX_BYTES: int = 65_536
    COMMANDS_WITHOUT_CONTEXT: Sequence[str] = ("runserver", "testserver", "test")
    CAPTURE_SQL: bool = True
    SQL_MAX_LENGTH: int = 2_000
    DATABASE: str
    SOURCE_DATABASE: str = "default"
    SLOT: str = "bemi_orm"
    PUBLICATION: str = "bemi_orm"
    REPLICA_IDENTITY: str = "full"
    TRACK: Sequence[str] = ("*",)
    IGNORE: Sequence[str] = ()
    RENAMED: Mapping[str, Any] = {}
    USER_KEY: str = "user_id"
    ACCESS: str = "bemi_orm.access.Access"
    MASKED: Mapping[str, Any]

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        try:
            value = getattr(django_settings, PREFIX + name)
        except AttributeError:
            if name == "DATABASE":
                return "bemi" if "bemi" in django_settings.DATABASES else "default"
            if name == "MASKED":
                return {django_settings.AUTH_USER_MODEL: ["password"]}
            return object.__getattribute__(self, name)
        if reason := find_fault(name, value):
            raise ConfigurationError(reason)
        return value


def find_fault(name: str, value: object) -> str | None:
    """Say what is wrong with the type of a setting's value, None if nothing; name: without the prefix."""
    wanted, fits = _TYPES[Settings.__annotations__[name]]
    return None if fits(value) else f"{PREFIX}{name} is {value!r}; it must be {wanted}."


def _is_list_of_names(value: object) -> bool:
    """A string is a sequence of strings, too: each letter would be taken for a table."""
    return isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(name, str) for name in value)


_TYPES: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "str": ("a string", lambda value: isinstance(value, str)),
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "int": (
        "a whole number, 0 or more",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    ),
    "Sequence[str]": ('a list of strings, such as ["todos"]', _is_list_of_names),
    "Mapping[str, Any]": ("a dict", lambda value: isinstance(value, Mapping)),
}
"""By annotation: what a person reads, and whether a value is such a one."""

KNOWN_NAMES: Final = frozenset(PREFIX + name for name in Settings.__annotations__)
"""Names that a project may set; the system check warns about others."""

settings: Final = Settings()
