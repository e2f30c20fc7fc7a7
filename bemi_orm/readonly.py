"""A queryset whose rows the ORM never writes."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.db.models import Model, QuerySet

from bemi_orm.exceptions import BemiError

_Row_co = TypeVar("_Row_co", bound=Model, covariant=True)


class ReadOnlyQuerySet(QuerySet[_Row_co]):
    """A queryset that never writes; the asynchronous methods and get_or_create end in these."""

    def create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()

    def update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        refuse_write()

    def delete(self) -> NoReturn:
        """Refuse."""
        refuse_write()


def refuse_write() -> NoReturn:
    """Raise BemiError: what has happened is not changed by the application."""
    raise BemiError(
        "Changes are a record and cannot be written through the ORM; the worker alone stores them. "
        "To undo what a change did, write to the table that it is about."
    )
