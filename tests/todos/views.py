"""A JSON API over the test models, driven over HTTP by the acceptance tests."""

import json

from django.contrib.auth import authenticate, login
from django.db import transaction
from django.http import HttpResponse, JsonResponse

from tests.todos.models import Todo, TodoList


def log_in(request):
    user = authenticate(request, **json.loads(request.body))
    if user is None:
        return HttpResponse(status=403)
    login(request, user)
    return JsonResponse({"user_id": user.pk})


def lists(request):
    todo_list = TodoList.objects.create(name=json.loads(request.body)["name"])
    return JsonResponse({"id": todo_list.pk})


def list_detail(request, pk):
    TodoList.objects.get(pk=pk).delete()
    return HttpResponse(status=204)


def todos(request, pk):
    data = json.loads(request.body)
    with transaction.atomic():
        made = [Todo.objects.create(list_id=pk, **fields) for fields in data["todos"]]
    return JsonResponse({"ids": [todo.pk for todo in made]})


def todo_detail(request, pk):
    todo = Todo.objects.get(pk=pk)
    if request.method == "GET":
        return JsonResponse({"task": todo.task})
    for name, value in json.loads(request.body).items():
        setattr(todo, name, value)
    todo.save()
    return HttpResponse(status=204)


def complete_all(request, pk):
    count = Todo.objects.filter(list_id=pk).update(is_completed=True)
    return JsonResponse({"count": count})


def fail(request):
    with transaction.atomic():
        TodoList.objects.create(name="never committed")
        raise RuntimeError("the request fails after its write")
