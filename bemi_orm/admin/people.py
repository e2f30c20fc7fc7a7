"""Who made changes, in words: also users that are deleted since, and none is asked for twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Case, Count, F, Func, Model, Q, TextField, Value, When
from django.utils.translation import gettext as _

from bemi_orm.access import MASKED
from bemi_orm.admin.viewer import Viewer
from bemi_orm.fields import ContextField
from bemi_orm.models import Change
from bemi_orm.values.fielddiffs import read_row

if TYPE_CHECKING:
    from bemi_orm.querysets import ChangeQuerySet

_NAME_KEYS: Final = ("user", "username", "user_name", "email")
"""Keys of a context under which projects put the name of the user."""


@dataclass(frozen=True, slots=True)
class Person:
    """The user of a change; key: as the context has it, user: None where it is deleted."""

    key: str
    label: str
    user: Model | None = None


def people_of(
    keys: Iterable[Any], viewer: Viewer, contexts: Iterable[Mapping[str, Any]] = ()
) -> dict[str, Person]:
    """Give the people that have these keys, in two queries at most.

    contexts: masked; a name that one of them gives stands for a user whose own history gives none.
    """
    texts = {str(key) for key in keys if isinstance(key, str | int) and not isinstance(key, bool)}
    found = {key: Person(key, _live_label(user, viewer), user) for key, user in _live_users(texts).items()}
    gone = texts - found.keys()
    names = _names_in(contexts, viewer) | _names_of_deleted(gone, viewer) if gone else {}
    return found | {key: Person(key, _gone_label(key, names.get(key))) for key in gone}


def user_key(context: Mapping[str, Any], viewer: Viewer) -> str | None:
    """Give the key of the user that a context names; None where it names none, or this is masked."""
    value: Any = context
    for part in viewer.user_path.split(".") if viewer.user_path else ():
        value = value.get(part) if isinstance(value, Mapping) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def counts_by_key(changes: ChangeQuerySet[Change], path: str, limit: int) -> list[tuple[str | None, int]]:
    """Give the keys of the users with most changes, and how many, the most first; in one query.

    path: where the context names the user. A number counts as its text; None is for changes that name none.
    """
    places = F("context"), *map(Value, path.split("."))
    value = Func(*places, function="jsonb_extract_path", output_field=ContextField())
    text = Func(*places, function="jsonb_extract_path_text", output_field=TextField())
    kind = Func(value, function="jsonb_typeof", output_field=TextField())
    is_key = Q(kind="string") | Q(kind="number", text__regex="^-?[0-9]+$")
    keys = changes.order_by().alias(text=text, kind=kind).values(key=Case(When(is_key, then="text")))
    counts = keys.annotate(count=Count("*")).order_by("-count", "key")[:limit]
    return [(row["key"], row["count"]) for row in counts]


def _live_users(keys: Iterable[str]) -> dict[str, Model]:
    model = get_user_model()
    valid = [key for key in keys if _is_key_of(model, key)]
    users = model._base_manager.filter(pk__in=valid) if valid else ()
    return {str(user.pk): user for user in users}


def _is_key_of(model: type[Model], key: str) -> bool:
    try:
        model._meta.pk.run_validators(model._meta.pk.to_python(key))
    except ValidationError:
        return False
    return True


def _live_label(user: Any, viewer: Viewer) -> str:
    field = type(user)._meta.get_field(type(user).USERNAME_FIELD)
    return _("user %(key)s") % {"key": user.pk} if viewer.masks.hides(field) else str(user.get_username())


def _gone_label(key: str, name: str | None) -> str:
    if name is None:
        return _("deleted user %(key)s") % {"key": key}
    return _("deleted user %(key)s (%(name)s)") % {"key": key, "name": name}


def _names_of_deleted(keys: Iterable[str], viewer: Viewer) -> dict[str, str]:
    """The history of the user's table tells what a deleted user was called."""
    model: Any = get_user_model()
    if viewer.masks.hides(model._meta.get_field(model.USERNAME_FIELD)):
        return {}
    in_scope = viewer.changes.for_model(model).filter(primary_key__in=keys, operation=Change.Operation.DELETE)
    rows = {str(change.primary_key): read_row(model, change.before) for change in in_scope.order_by("id")}
    return {key: str(row[model.USERNAME_FIELD]) for key, row in rows.items() if row.get(model.USERNAME_FIELD)}


def _names_in(contexts: Iterable[Mapping[str, Any]], viewer: Viewer) -> dict[str, str]:
    found = {}
    for context in contexts:
        key = user_key(context, viewer)
        values = [context.get(name) for name in _NAME_KEYS]
        name = next((value for value in values if isinstance(value, str) and value != MASKED), None)
        if key is not None and name:
            found[key] = name
    return found
