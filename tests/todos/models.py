"""Models of the test project: every shape of key, and the field types that Django ships."""

import uuid

from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, IntegerRangeField
from django.db import models

from bemi_orm import BemiMixin


class TodoList(BemiMixin, models.Model):
    name = models.CharField(max_length=100, unique=True)


class Todo(BemiMixin, models.Model):
    list = models.ForeignKey(TodoList, on_delete=models.CASCADE, related_name="todos", null=True)
    task = models.CharField(max_length=200)
    is_completed = models.BooleanField(default=False)
    price = models.DecimalField(max_digits=10, decimal_places=2, default="1.10")
    meta = models.JSONField(default=dict)
    tags = models.ManyToManyField("Tag")
    updated_at = models.DateTimeField(auto_now=True)


class Tag(BemiMixin, models.Model):
    code = models.SlugField(primary_key=True)


class Document(BemiMixin, models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.TextField()


class SpecialDocument(Document):
    level = models.IntegerField(default=0)


class Seat(BemiMixin, models.Model):
    pk = models.CompositePrimaryKey("row", "number")
    row = models.CharField(max_length=4)
    number = models.IntegerField()
    taken_by = models.TextField(default="")


class Everything(models.Model):
    """One field of each class whose value PostgreSQL stores in a type of its own."""

    big = models.BigIntegerField(null=True)
    small = models.SmallIntegerField(null=True)
    truth = models.BooleanField(null=True)
    double = models.FloatField(null=True)
    exact = models.DecimalField(max_digits=40, decimal_places=10, null=True)
    day = models.DateField(null=True)
    clock = models.TimeField(null=True)
    moment = models.DateTimeField(null=True)
    span = models.DurationField(null=True)
    blob = models.BinaryField(null=True)
    address = models.GenericIPAddressField(null=True)
    document = models.JSONField(null=True)
    identity = models.UUIDField(null=True)
    text = models.TextField(null=True)
    numbers = ArrayField(models.IntegerField(null=True), null=True)
    words = ArrayField(ArrayField(models.TextField()), null=True)
    integers = IntegerRangeField(null=True)
    period = DateTimeRangeField(null=True)
