"""What the search box of the list understands; each form of it is answered from an index."""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, cast

from django.db.models import Func, Q, TextField
from django.utils.translation import gettext as _

from bemi_orm.admin.viewer import Viewer

if TYPE_CHECKING:
    from bemi_orm.models import Change
    from bemi_orm.querysets import ChangeQuerySet

_NUMBER: Final = re.compile(r"-?\d{1,18}", re.ASCII)

MAX_KEYS: Final = 50
"""Under so many keys of recent contexts a value is looked up."""


MAX_DEPTH: Final = 50
"""So many keys a path of the context may have; JSON of any depth could not be built."""


class SearchError(ValueError):
    """The text cannot be searched for; the message is for the user, trying again does not help."""


class _Keys(Func):
    function = "jsonb_object_keys"
    output_field = TextField()
    set_returning = True


def search(changes: ChangeQuerySet[Change], text: str, viewer: Viewer) -> ChangeQuerySet[Change]:
    """Narrow changes by what somebody typed.

    text: `path=value`, a value of the context by its path; anything else is the key of a row, or a whole
        value under any key that recent contexts have at their top.
    Raises SearchError for a part of the context that is masked: to find it would be to read it.
    """
    text = text.strip()
    if not text:
        return changes
    path, is_pair, value = text.partition("=")
    condition = _in_context(path.strip(), value.strip(), viewer) if is_pair else _anywhere(text, viewer)
    return changes.filter(condition)


def _anywhere(text: str, viewer: Viewer) -> Q:
    keys = [key for key in _recent_keys(viewer) if not viewer.masks.names_key(key)]
    contexts = [_contains([key], form) for key in keys for form in _forms(text)]
    return reduce(or_, contexts, Q(primary_key=text))


def _in_context(path: str, value: str, viewer: Viewer) -> Q:
    keys = path.split(".")
    if not all(keys) or len(keys) > MAX_DEPTH:
        raise SearchError(_("Type a key of the context, “=” and its value, such as user_id=7."))
    if viewer.masks.names_key(path):
        raise SearchError(_("%(key)s is masked, and cannot be searched for.") % {"key": path})
    return reduce(or_, [_contains(keys, form) for form in _forms(value)])


def _contains(path: list[str], value: Any) -> Q:
    for key in reversed(path):
        value = {key: value}
    return Q(context__contains=value)


def _forms(text: str) -> list[Any]:
    """A person types 7 for the number and for the text alike."""
    words = {"true": True, "false": False, "null": None}
    forms: list[Any] = [text]
    if text in words:
        forms.append(words[text])
    if _NUMBER.fullmatch(text):
        forms.append(int(text))
    return forms


def _recent_keys(viewer: Viewer) -> list[str]:
    keys = viewer.recent.order_by().values_list(_Keys("context"), flat=True).distinct()[:MAX_KEYS]
    return cast("list[str]", list(keys))
