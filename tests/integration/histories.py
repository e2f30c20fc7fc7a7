"""Random histories of the test project's tables, and everything that is asked of them, then and now."""

from __future__ import annotations

import itertools
import random
import uuid
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db import IntegrityError, connection, connections, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange, NumericRange
from django.db.models import Avg, Count, Max, OuterRef, Subquery, Sum

from tests.todos.models import Document, Everything, Seat, SpecialDocument, Tag, Todo, TodoList

MODELS = (TodoList, Todo, Tag, Todo.tags.through, Document, SpecialDocument, Seat, Everything)


def text(row):
    """Give a row as text; psycopg2 gives bytea as memoryview, which has none."""
    return repr([bytes(value) if isinstance(value, memoryview) else value for value in row])


def ask_all(alias="default"):
    """Give whole tables, joins and aggregates, in an order of their own."""
    answers = {model.__name__: sorted(map(text, model.objects.values_list())) for model in MODELS}
    answers["special"] = sorted(repr((s.pk, s.title, s.level)) for s in SpecialDocument.objects.all())
    lists = TodoList.objects.annotate(n=Count("todos"), total=Sum("todos__price"), last=Max("todos__task"))
    answers["lists"] = sorted(repr((row.pk, row.name, row.n, row.total, row.last)) for row in lists)
    fetched = Todo.objects.select_related("list").prefetch_related("tags")
    answers["todos"] = sorted(
        repr((todo.pk, todo.list and todo.list.name, sorted(tag.code for tag in todo.tags.all())))
        for todo in fetched
    )
    newest = Todo.objects.filter(list=OuterRef("pk")).order_by("-id").values("task")[:1]
    answers["newest"] = sorted(map(repr, TodoList.objects.annotate(newest=Subquery(newest)).values_list()))
    answers["figures"] = repr((Todo.objects.aggregate(Avg("price"), Count("id")), Tag.objects.count()))
    answers["pages"] = [
        list(model.objects.order_by("pk").values_list("pk")[:7]) for model in (Todo, Everything)
    ]
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT t.id, l.name, count(tt.tag_id) FROM todos_todo t "
            "LEFT JOIN todos_todolist l ON l.id = t.list_id "
            "FULL JOIN todos_todo_tags tt ON tt.todo_id = t.id GROUP BY 1, 2 ORDER BY 1, 2"
        )
        answers["raw"] = cursor.fetchall()
    return answers


class History:
    """Does random things in random transactions; the keys of Seat and Everything are deferrable."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.counter = itertools.count()
        self.steps = [
            self.add, self.add, self.add, self.link, self.change, self.change_in_bulk, self.delete,
            self.move_key, self.shift_keys, self.replace, self.swap, self.come_and_go,
            self.truncate, self.take_back,
        ]  # fmt: skip

    def run_transaction(self):
        """A deferred key may turn out to be taken at the end: then all of it is undone."""
        with suppress(IntegrityError), transaction.atomic():
            for _ in range(self.random.randint(1, 5)):
                self.random.choice(self.steps)()
            self.sql(
                "SELECT setval('todos_everything_id_seq', max(id) + 1) FROM todos_everything WHERE id < 90000"
            )

    def name(self):
        return f"{self.random.choice(['a', 'é', 'its', '%', '{}'])}{next(self.counter)}"

    def add(self):
        todo_list = TodoList.objects.create(name=self.name())
        for _ in range(self.random.randint(0, 3)):
            Todo.objects.create(
                list=todo_list, task=self.name(), price=Decimal(self.random.randint(0, 999)) / 100
            )
        Tag.objects.create(code=self.name())
        Document.objects.create(id=uuid.UUID(int=self.random.getrandbits(128)), title=self.name())
        SpecialDocument.objects.create(id=uuid.UUID(int=self.random.getrandbits(128)), title="s", level=3)
        Seat.objects.get_or_create(row=self.random.choice("ab"), number=self.random.randint(1, 9))
        Everything.objects.create(
            text=self.random.choice(["x", "y"]), **(self.values() if next(self.counter) % 4 else {})
        )

    def values(self):
        moment = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
        return {
            "big": 2**62, "small": -3, "truth": True, "double": 0.1, "exact": Decimal("1.1000000000"),
            "day": date(2026, 2, 28), "clock": time(23, 59, 59, 10), "moment": moment,
            "span": timedelta(days=-3, seconds=5), "blob": b"\x00\xff", "address": "10.0.0.1",
            "document": {"a": [None, 1.5, "é"], "b": {}}, "identity": uuid.UUID(int=7),
            "numbers": [1, None, 3], "words": [["a", 'q"'], ["NULL", "é,"]],
            "integers": NumericRange(1, 5), "period": DateTimeTZRange(moment, None),
        }  # fmt: skip

    def link(self):
        todos, tags = list(Todo.objects.all()), list(Tag.objects.all())
        if todos and tags:
            self.random.choice(todos).tags.set(
                self.random.sample(tags, self.random.randint(0, min(3, len(tags))))
            )

    def change(self):
        if todo := Todo.objects.order_by("?").first():
            todo.task, todo.meta = self.name(), {"n": next(self.counter)}
            todo.save()

    def change_in_bulk(self):
        Todo.objects.filter(price__gt=5).update(price=1)
        Seat.objects.update(taken_by=self.name())
        Everything.objects.filter(text="x").update(text="y")

    def delete(self):
        model = self.random.choice([TodoList, Todo, Tag, Document, SpecialDocument, Seat, Everything])
        keys = list(model.objects.values_list("pk", flat=True))
        model.objects.filter(pk__in=self.random.sample(keys, len(keys) // 3)).delete()

    def move_key(self):
        """A key goes elsewhere; its old number may be taken again later."""
        self.sql("UPDATE todos_todolist SET id = id + 1000 WHERE id = (SELECT max(id) FROM todos_todolist l "
                 "WHERE NOT EXISTS (SELECT FROM todos_todo WHERE list_id = l.id))")  # fmt: skip

    def shift_keys(self):
        self.sql("UPDATE todos_everything SET id = id + 1")
        self.sql("UPDATE todos_seat SET number = number + 1")

    def swap(self):
        self.sql("UPDATE todos_everything SET id = (SELECT max(id) + min(id) FROM todos_everything) - id")

    def replace(self):
        """The new row comes before the old one goes, and they may be alike in everything."""
        if rows := self.sql("SELECT ctid, id FROM todos_everything ORDER BY random() LIMIT 1"):
            [(place, key)] = rows
            self.sql(
                "INSERT INTO todos_everything SELECT * FROM todos_everything WHERE ctid = %s::tid", place
            )
            if self.random.random() < 0.5:
                self.sql(
                    "UPDATE todos_everything SET text = 'new' WHERE id = %s AND ctid <> %s::tid", key, place
                )
            self.sql("DELETE FROM todos_everything WHERE ctid = %s::tid", place)

    def come_and_go(self):
        """A row takes a key that another one holds, and leaves again."""
        if rows := self.sql("SELECT id FROM todos_everything ORDER BY random() LIMIT 2"):
            key, other = rows[0][0], rows[-1][0]
            [[place]] = self.sql(
                "INSERT INTO todos_everything (id, text) VALUES (%s, 'guest') RETURNING ctid", key
            )
            way = self.random.choice(
                ["DELETE FROM todos_everything", "UPDATE todos_everything SET id = 90000 + %s"]
            )
            parameters = [next(self.counter), place] if "%s" in way else [place]
            self.sql(f"{way} WHERE ctid = %s::tid", *parameters)
            self.sql("UPDATE todos_everything SET small = 1 WHERE id = %s", other)

    def truncate(self):
        tables = ["todos_everything", "todos_todolist CASCADE", "todos_seat"]
        if self.random.random() < 0.2:
            self.sql("SET CONSTRAINTS ALL IMMEDIATE")
            self.sql(f"TRUNCATE {self.random.choice(tables)}")
            self.sql("SET CONSTRAINTS ALL DEFERRED")

    def take_back(self):
        with transaction.atomic():
            self.add()
            transaction.set_rollback(True)

    def sql(self, statement, *parameters):
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []
