"""Random moves of keys: the history found for each row is the one that the row had."""

from dataclasses import dataclass, field

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from bemi_orm import Change
from tests.integration.rows import next_transaction, store
from tests.todos.models import Todo

KEYS = st.integers(1, 4)
STEPS = st.one_of(
    st.tuples(st.just("create"), KEYS, KEYS),
    st.tuples(st.just("update"), KEYS, KEYS),
    st.tuples(st.just("delete"), KEYS, KEYS),
    *[st.tuples(st.just("move"), KEYS, KEYS)] * 3,
)
TRANSACTIONS = st.lists(st.lists(STEPS, min_size=1, max_size=6), max_size=6)


@dataclass(eq=False)
class Row:
    key: int
    version: int
    changes: list = field(default_factory=list)

    @property
    def image(self):
        return {"id": self.key, "task": self.version}


class Table:
    """A table whose key is deferrable: inside a transaction several rows may hold one key."""

    def __init__(self):
        self.rows, self.used, self.versions, self.log = [], set(), 0, []

    def apply(self, steps):
        """Run a transaction; where a key is held twice at its end, it is rolled back."""
        saved = [(row, row.key, row.version) for row in self.rows]
        used = set(self.used)
        log = [entry for step in steps if (entry := self._step(*step))]
        keys = [row.key for row in self.rows]
        if len(set(keys)) == len(keys):
            self._store(log)
            return
        self.rows, self.used = [row for row, *_ in saved], used
        for row, key, version in saved:
            row.key, row.version = key, version

    def _step(self, verb, key, to):
        self.versions += 1
        if verb == "create":
            if key in self.used:  # a key that is deleted and made again has one history, by intent
                return None
            row = Row(key, self.versions)
            self.rows.append(row)
            self.used.add(key)
            return row, {"key": key, "operation": "CREATE", "after": row.image}
        row = next((row for row in self.rows if row.key == key), None)
        if row is None or (verb == "move" and to == key):
            return None
        before = row.image
        if verb == "delete":
            self.rows.remove(row)
            return row, {"key": key, "operation": "DELETE", "before": before}
        row.version = self.versions
        options = {}
        if verb == "move":
            row.key = to
            self.used.add(to)
            options = {"previous": key}
        return row, {"key": row.key, "operation": "UPDATE", "before": before, "after": row.image, **options}

    def _store(self, log):
        number = next_transaction()
        for ordinal, (row, options) in enumerate(log):
            row.changes.append(store(transaction=number, ordinal=ordinal, **options))


@pytest.mark.django_db
@settings(max_examples=60, deadline=None)
@given(TRANSACTIONS)
def test_s32a_s32b_history_of_each_row_is_its_own(transactions):
    with transaction.atomic():
        table = Table()
        for steps in transactions:
            table.apply(steps)
        for row in table.rows:
            todo = Todo(pk=row.key)
            todo._state.adding = False
            assert list(Change.objects.for_instance(todo).values_list("pk", flat=True)) == row.changes
        transaction.set_rollback(True)
