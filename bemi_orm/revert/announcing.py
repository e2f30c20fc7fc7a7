"""What receivers are told of one row: the signals before and after, with the same instance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save


class Announcement(Protocol):
    """Something that signals tell of, before it is written and after."""

    def before(self, alias: str) -> None:
        """Send what comes before; alias: of the database."""

    def after(self, alias: str) -> None:
        """Send what comes after."""


@dataclass(slots=True)
class Saving:
    """A row that is inserted (update_fields is None), or updated in these fields."""

    model: type[Model]
    instance: Model
    update_fields: frozenset[str] | None
    _values: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        known, fields = self.instance.__dict__, self.model._meta.concrete_fields
        self._values = {f.attname: known[f.attname] for f in fields if f.attname in known}

    def before(self, alias: str) -> None:
        """Send pre_save."""
        pre_save.send(self.model, instance=self.instance, **self._details(alias))

    def after(self, alias: str) -> None:
        """Send post_save; what a receiver of pre_save did to the values was not written, and is undone."""
        for name, value in self._values.items():
            setattr(self.instance, name, value)
        created = self.update_fields is None
        self.instance._state.adding = False
        post_save.send(self.model, instance=self.instance, created=created, **self._details(alias))

    def _details(self, alias: str) -> dict[str, Any]:
        return {"raw": False, "using": alias, "update_fields": self.update_fields}


@dataclass(frozen=True, slots=True)
class Deletion:
    """A row that is deleted."""

    model: type[Model]
    instance: Model

    def before(self, alias: str) -> None:
        """Send pre_delete."""
        pre_delete.send(self.model, instance=self.instance, using=alias, origin=self.instance)

    def after(self, alias: str) -> None:
        """Send post_delete; the instance still has its key."""
        post_delete.send(self.model, instance=self.instance, using=alias, origin=self.instance)


@dataclass(frozen=True, slots=True)
class Linking:
    """Links of one instance that a ManyToManyField made by itself, as they come or go.

    through: the field's table. verb: "add" or "remove". targets: keys of the rows at the other end.
    """

    through: type[Model]
    target_model: type[Model]
    instance: Model
    verb: str
    targets: set[Any]

    def before(self, alias: str) -> None:
        """Send m2m_changed with the action pre_add or pre_remove."""
        self._send("pre", alias)

    def after(self, alias: str) -> None:
        """Send m2m_changed with the action post_add or post_remove."""
        self._send("post", alias)

    def _send(self, time: str, alias: str) -> None:
        m2m_changed.send(
            self.through,
            instance=self.instance,
            action=f"{time}_{self.verb}",
            reverse=False,
            model=self.target_model,
            pk_set=set(self.targets),
            using=alias,
        )
