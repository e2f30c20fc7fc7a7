"""Where to click, in this order: for the start page and for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from bemi_orm import Change
from bemi_orm.demo.site.models import Todo

MISTAKE: Final = "Buy 500 stamps"
"""The task of a todo that was 20 stamps until somebody wrote SQL."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A page that is worth a look; hint: what to do there. path: without the host."""

    title: str
    hint: str
    path: str


def stops() -> list[Stop]:
    """Give the stops; those about the todo with the mistake only as long as it is there."""
    return [
        Stop(
            "Activity",
            "changes per minute, by table and by user; new ones appear by themselves",
            _address("bemi_orm_change_activity", last="1h"),
        ),
        *_stops_of_the_mistake(),
        Stop(
            "Deleted",
            "the list Groceries is gone; restore it, and its todos by the check box",
            _address("demo_todolist_deleted"),
        ),
        *(_stops_of_rest() if settings.HAS_REST else ()),
    ]


def _stops_of_the_mistake() -> Iterator[Stop]:
    mistake = Change.objects.for_model(Todo).after({"task": MISTAKE}).order_by("id").first()
    todo = Todo.objects.filter(pk=mistake.primary_key or 0).first() if mistake else None
    if mistake is None or todo is None:
        return
    first, *_, last = todo.bemi_history().filter(id__lt=mistake.pk).order_by("id")
    yield Stop(
        "The history of a todo",
        f"who wrote what to \u201c{MISTAKE}\u201d, past Django, too; compare any two moments",
        _address("demo_todo_history", todo.pk),
    )
    yield Stop(
        "As it was",
        "its form as it was at first; move the slider",
        _address("demo_todo_history_as_of", todo.pk, at=first.pk),
    )
    yield Stop(
        "Revert",
        "it should have been 20 stamps: see the plan, then take the mistake back",
        _address("demo_todo_history_revert", todo.pk, to=last.pk),
    )


def _stops_of_rest() -> Iterator[Stop]:
    changes = "/audit/changes/"
    yield Stop("REST API", "all that bob updated, as JSON", f"{changes}?context.user=bob&operation=UPDATE")
    yield Stop(
        "REST facets", "counts, for a chart", f"{changes}facets/?by=table,context.user&per=minute&last=1h"
    )
    yield Stop("REST viewset", "todos that are gone, by the site's own serializer", "/rest/todos/deleted/")


def _address(name: str, *keys: object, **query: object) -> str:
    path = reverse(f"admin:{name}", args=keys)
    return f"{path}?{urlencode(query)}" if query else path
