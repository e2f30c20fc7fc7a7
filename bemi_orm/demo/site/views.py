"""The page, and what its forms do."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from bemi_orm import Change, current_context
from bemi_orm.demo.describe import describe
from bemi_orm.demo.site.forms import ListForm, TodoForm
from bemi_orm.demo.site.guide import stops
from bemi_orm.demo.site.models import Todo, TodoList

LATEST_CHANGES: Final = 10
HISTORY_WAIT_SECONDS: Final = 1.0

View = Callable[..., Any]


@login_required
def index(request: HttpRequest) -> HttpResponse:
    """Show where to click, all lists, each todo with its history, and the latest changes of all."""
    latest = map(describe, Change.objects.desc()[:LATEST_CHANGES])
    guide = stops() if request.user.is_staff else ()
    return render(request, "demo/index.html", {"lists": _lists(), "latest": latest, "guide": guide})


def action(view: View) -> View:
    """Let a form do something, then show the page with what was recorded about it.

    The worker stores a change some milliseconds after its commit; a page that is read at once would be
    without it, so this waits until the request's changes are there, a second at most.
    """

    @login_required
    @require_POST
    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        place = view(request, **kwargs)
        mine = Change.objects.filter(context__request_id=current_context()["request_id"])
        deadline = time.monotonic() + HISTORY_WAIT_SECONDS
        while not mine.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        return redirect(f"/#{place}")

    return wrapped


@action
def add_list(request: HttpRequest) -> str:
    """Add an empty list."""
    return f"list-{TodoList.objects.create(name=_text(ListForm(request.POST), 'name')).pk}"


@action
def delete_list(request: HttpRequest, pk: int) -> str:
    """Delete the list, and its todos with it."""
    get_object_or_404(TodoList, pk=pk).delete()
    return "latest"


@action
def complete_list(request: HttpRequest, pk: int) -> str:
    """Complete all open todos of the list in one statement."""
    todo_list = get_object_or_404(TodoList, pk=pk)
    Todo.objects.filter(list=todo_list, is_completed=False).update(is_completed=True)
    return f"list-{pk}"


@action
def add_todo(request: HttpRequest, pk: int) -> str:
    """Add a todo to the list."""
    todo_list = get_object_or_404(TodoList, pk=pk)
    todo = Todo.objects.create(list=todo_list, task=_text(TodoForm(request.POST), "task"))
    return f"todo-{todo.pk}"


@action
def toggle_todo(request: HttpRequest, pk: int) -> str:
    """Complete the todo, or open it again."""
    todo = get_object_or_404(Todo, pk=pk)
    todo.is_completed = not todo.is_completed
    todo.save()
    return f"todo-{pk}"


@action
def delete_todo(request: HttpRequest, pk: int) -> str:
    """Delete the todo."""
    get_object_or_404(Todo, pk=pk).delete()
    return "latest"


def _lists() -> list[dict[str, Any]]:
    return [_with_todos(todo_list) for todo_list in TodoList.objects.order_by("id")]


def _with_todos(todo_list: TodoList) -> dict[str, Any]:
    todos = Todo.objects.filter(list=todo_list)
    return {
        "list": todo_list,
        "has_open": any(not todo.is_completed for todo in todos),
        "todos": [_with_history(todo) for todo in todos],
    }


def _with_history(todo: Todo) -> dict[str, Any]:
    return {"todo": todo, "history": [describe(change) for change in todo.bemi_history()]}


def _text(form: Form, field: str) -> str:
    if not form.is_valid():
        raise BadRequest(f"The {field} is missing or too long.")
    text: str = form.cleaned_data[field]
    return text
