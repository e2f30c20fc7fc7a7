"""The JSON API; session log-in and CSRF token as for the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods

from bemi_orm.demo.site.forms import ListForm, TodoForm
from bemi_orm.demo.site.models import Todo, TodoList

View = Callable[..., HttpResponse]


def json_api(*methods: str) -> Callable[[View], View]:
    """Let the view answer these methods only, for users who are logged in; `data` is the JSON body.

    A ValueError of the view becomes status 400 with its text.
    """

    def decorator(view: View) -> View:
        @require_http_methods(methods)
        @wraps(view)
        def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return JsonResponse({"error": "Log in first."}, status=401)
            try:
                return view(request, data=_json_object(request.body), **kwargs)
            except ValueError as error:
                return JsonResponse({"error": str(error)}, status=400)

        return wrapped

    return decorator


@json_api("POST")
def lists(request: HttpRequest, data: dict[str, Any]) -> HttpResponse:
    """Add a list with its todos: `{"name": ..., "todos": [task, ...]}` gives their ids."""
    name = _cleaned(ListForm(data))["name"]
    tasks = [_cleaned(TodoForm({"task": task}))["task"] for task in data.get("todos") or []]
    with transaction.atomic():
        todo_list = TodoList.objects.create(name=name)
        todos = Todo.objects.bulk_create(Todo(list=todo_list, task=task) for task in tasks)
    return JsonResponse({"id": todo_list.pk, "todos": [todo.pk for todo in todos]}, status=201)


@json_api("PATCH", "DELETE")
def list_detail(request: HttpRequest, data: dict[str, Any], pk: int) -> HttpResponse:
    """PATCH sets `is_completed` of all its todos in one statement; DELETE deletes the list and its todos."""
    todo_list = get_object_or_404(TodoList, pk=pk)
    if request.method == "DELETE":
        todo_list.delete()
        return HttpResponse(status=204)
    todos = Todo.objects.filter(list=todo_list)
    return JsonResponse({"updated": todos.update(is_completed=bool(data.get("is_completed")))})


@json_api("PATCH")
def todo_detail(request: HttpRequest, data: dict[str, Any], pk: int) -> HttpResponse:
    """Change `task` or `is_completed`, or both."""
    todo = get_object_or_404(Todo, pk=pk)
    if "task" in data:
        todo.task = _cleaned(TodoForm(data))["task"]
    if "is_completed" in data:
        todo.is_completed = bool(data["is_completed"])
    todo.save()
    return JsonResponse({"id": todo.pk, "task": todo.task, "is_completed": todo.is_completed})


def _json_object(body: bytes) -> dict[str, Any]:
    data = json.loads(body or b"{}")
    if not isinstance(data, dict):
        raise ValueError("The body must be a JSON object.")
    return data


def _cleaned(form: Form) -> dict[str, Any]:
    if not form.is_valid():
        raise ValueError(form.errors.as_json())
    return form.cleaned_data
