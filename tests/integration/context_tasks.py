"""Tasks of `django.tasks`, and a backend whose worker is another execution context."""

import json
from contextvars import Context

from django.tasks import task
from django.tasks.backends.immediate import ImmediateBackend

from bemi_orm.transport.scope import context, current_context
from bemi_orm.transport.tasks import CarriesContext
from tests.todos.models import Tag


class DistantBackend(ImmediateBackend):
    """Runs a task without its caller's context variables, from arguments that were JSON in between."""

    def enqueue(self, task, args, kwargs):
        return Context().run(
            super().enqueue, task, json.loads(json.dumps(args)), json.loads(json.dumps(kwargs))
        )


class CarryingBackend(CarriesContext, DistantBackend):
    pass


@task
def write(code):
    context(left_over=True)
    Tag.objects.create(code=code)


@task(backend="carrying")
def write_far_away(code):
    Tag.objects.create(code=code)


@task(backend="carrying")
async def write_far_away_async(code):
    await Tag.objects.acreate(code=code)


@task
def fail():
    context(left_over=True)
    raise LookupError(current_context())
