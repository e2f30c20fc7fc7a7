"""Lists and their todos."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from bemi_orm import BemiMixin


class TodoList(BemiMixin, models.Model):
    """A named list that all users share."""

    name = models.CharField(max_length=100)

    objects: ClassVar[models.Manager[TodoList]] = models.Manager()

    def __str__(self) -> str:
        return self.name


class Todo(BemiMixin, models.Model):
    """One thing to do."""

    list = models.ForeignKey(TodoList, on_delete=models.CASCADE)
    task = models.CharField(max_length=200)
    is_completed = models.BooleanField(default=False)

    objects: ClassVar[models.Manager[Todo]] = models.Manager()

    class Meta:
        """The page shows todos in the order in which they were made."""

        ordering = ["id"]

    def __str__(self) -> str:
        return self.task
