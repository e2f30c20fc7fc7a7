"""The history of the objects of a project's own viewset, under its permissions and its queryset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import Any, Final

from django.db import transaction
from django.db.models import Model
from django.http import Http404
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated, PermissionDenied, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request, clone_request
from rest_framework.response import Response

from bemi_orm.access import access
from bemi_orm.choices import Operation
from bemi_orm.conf import settings
from bemi_orm.models import Change
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.rest_framework import parameters, schema
from bemi_orm.rest_framework.endpoints import BemiEndpoints, Refused
from bemi_orm.rest_framework.moments import past_moment
from bemi_orm.rest_framework.pagination import ChangeCursorPagination
from bemi_orm.rest_framework.parameters import FIELDS
from bemi_orm.rest_framework.reverting import (
    ObjectRevertSerializer,
    RevertOrder,
    apply_plan,
    fitting,
    shown_result,
)
from bemi_orm.rest_framework.serializers import ChangeSerializer
from bemi_orm.rest_framework.sight import (
    OnlyColumns,
    ensure_in_scope,
    history_of,
    last_of_gone,
    live_keys,
    looking_at,
    moment_before,
    represented,
    seen_in,
    seen_object,
    shown_columns,
    writable_fields,
)
from bemi_orm.revert.moments import plan_instance, restore
from bemi_orm.transport.message import SQL_KEY

WITH_DIFF = (*FIELDS, "diff")

_STANDS_FOR: Final = {
    "bemi_history": "retrieve",
    "bemi_history_change": "retrieve",
    "bemi_as_of": "retrieve",
    "bemi_deleted": "list",
    "bemi_restore": "create",
}
"""What the viewset's own code takes each step for; `bemi_revert` is the update that there is."""

_METHODS: Final = {"update": "PUT", "partial_update": "PATCH", "create": "POST"}


@schema.described_history
class BemiHistoryViewMixin(BemiEndpoints):
    """Adds `history/`, `history/{id}/`, `as_of/`, `revert/`, `restore/` and `deleted/` to a model's viewset.

    `class TodoViewSet(BemiHistoryViewMixin, ModelViewSet)`. An object that `get_queryset`, the filter
    backends or the permissions hide has no history. One that is gone is asked for as it was right before: its
    filters look at the past then. Only columns that the serializer shows are shown, and only fields that it
    lets be written are reverted.

    The viewset's own code finds `retrieve` as its `action` in all that reads, `list` in `deleted/`, `update`
    (or else `partial_update`) in a revert and `create` in a restore; these two are 405 where the viewset does
    not have that action.
    """

    def bemi_masks(self) -> OnlyColumns:
        """Give what is hidden: all that the viewset's own serializer does not show, and `BEMI_MASKED`.

        The statement is hidden as well: it may have values of any column in it.
        """
        masks = super().bemi_masks()
        with self._acting("list" if self.action == "list" else "retrieve"):
            shown = shown_columns(self)
        return OnlyColumns(masks.columns, masks.context_keys | {SQL_KEY}, shown=shown)

    def bemi_parameter_names(self) -> tuple[str, ...]:
        """Give what the viewset's own filter backends read; override it for one that does not tell."""
        return tuple(parameters.names_of_backends(self))

    def bemi_seen(self) -> ChangeQuerySet[Change]:
        """Give the changes of the object: no revert takes others, and no conflict names them."""
        return self._bemi_history

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        """Let the viewset's own code see the action that the step stands for."""
        asked = super().initialize_request(request, *args, **kwargs)
        self.action = self._stands_for(self.action)
        return asked

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse to write by a step where the viewset itself does not write so."""
        super().initial(request, *args, **kwargs)
        if self._step(request) in ("bemi_revert", "bemi_restore") and not self._has(self.action):
            raise MethodNotAllowed(str(request.method))

    def check_permissions(self, request: Request) -> None:
        """Ask for the permissions of what the step stands for."""
        with self._acting(self._stands_for(self.action)):
            super().check_permissions(self._as_update(request))

    def check_object_permissions(self, request: Request, obj: Any) -> None:
        """Do the same for the object."""
        with self._acting(self._stands_for(self.action)):
            super().check_object_permissions(self._as_update(request), obj)

    @action(
        detail=True,
        url_path="history",
        url_name="history",
        pagination_class=ChangeCursorPagination,
        bemi_parameters_class=parameters.TransactionParameters,
    )
    def bemi_history(self, request: Request, **kwargs: Any) -> Response:
        """The changes of the object, the newest first."""
        changes = self._history_of(seen_object(self))
        return self._page(changes, lambda page: self._changes(page, many=True))

    @action(
        detail=True,
        url_path="history/(?P<change_id>[0-9a-fA-F-]{32,36})",
        url_name="history-change",
        bemi_parameters_class=parameters.ChangeParameters,
    )
    def bemi_history_change(self, request: Request, change_id: str, **kwargs: Any) -> Response:
        """One change of the object, with its diff."""
        history = self._history_of(seen_object(self))
        return Response(self._changes(get_object_or_404(history, pk=change_id)))

    @action(
        detail=True, url_path="as_of", url_name="as-of", bemi_parameters_class=parameters.MomentParameters
    )
    def bemi_as_of(self, request: Request, **kwargs: Any) -> Response:
        """The object as it was at a moment, as this viewset shows it."""
        instance = seen_object(self)
        moment = past_moment(self.bemi_parameters["at"], self._history_of(instance))
        ensure_in_scope(self, instance, moment)
        with looking_at(moment, request.user):
            return Response(represented(self, seen_in(self, instance.pk), super().bemi_masks()))

    @action(
        detail=True,
        methods=["post"],
        url_path="revert",
        url_name="revert",
        bemi_parameters_class=parameters.Parameters,
    )
    def bemi_revert(self, request: Request, **kwargs: Any) -> Response:
        """Bring the object back to a moment, in one transaction."""
        order = ObjectRevertSerializer(data=request.data)
        order.is_valid(raise_exception=True)
        instance: Model = self.get_object()
        moment = past_moment(order.validated_data["to"], self._history_of(instance), "to")
        missing_parents = order.validated_data["missing_parents"]
        with fitting():
            plan = plan_instance(instance, moment, missing_parents=missing_parents)
        fields = self._revertible(order.validated_data.get("fields"))
        wanted = RevertOrder(on_conflict=order.validated_data["on_conflict"], fields=fields)
        result = apply_plan(plan, wanted, self.bemi_seen(), super().bemi_masks())
        return Response(shown_result(result, self.bemi_seen(), self.bemi_masks()))

    @action(
        detail=True,
        methods=["post"],
        url_path="restore",
        url_name="restore",
        bemi_parameters_class=parameters.Parameters,
    )
    def bemi_restore(self, request: Request, **kwargs: Any) -> Response:
        """Bring back the object that was deleted, under its key."""
        end = last_of_gone(self)
        if end is None or end.instance is None:
            self.get_object()
            raise Refused("It is there.")
        key = end.instance.pk
        with looking_at(moment_before(end), request.user):
            model = type(instance := self._seen_to_restore(key))
        self._history_of(instance)
        with fitting(), transaction.atomic(using=settings.SOURCE_DATABASE):
            restore(model, key)
            instance = self._seen_to_restore(key)  # who would not see it now may not bring it back
        with self._acting("retrieve"):
            return Response(self.get_serializer(instance).data, status=status.HTTP_201_CREATED)

    @action(
        detail=False,
        url_path="deleted",
        url_name="deleted",
        pagination_class=ChangeCursorPagination,
        bemi_parameters_class=parameters.DeletedObjectsParameters,
    )
    def bemi_deleted(self, request: Request, **kwargs: Any) -> Response:
        """The objects that are gone, the last first, each as it was last, with the change that tells of it.

        A page is shorter than asked for where others are hidden; `next` goes on all the same.
        """
        model = self.get_queryset().model
        gone = access().scope(request.user, Change.objects.for_model(model).of_gone_rows())
        return self._page(gone, lambda page: list(self._last_sights(page)))

    def _history_of(self, instance: Model) -> ChangeQuerySet[Change]:
        with self._acting("retrieve"):
            self._bemi_history = history_of(self, instance)
        return self._bemi_history

    def _seen_to_restore(self, key: object) -> Model:
        """What may be created is not all that may be seen, nor the other way round."""
        with self._acting("retrieve"):
            seen_in(self, key)
        return seen_in(self, key)

    @contextmanager
    def _acting(self, action: str) -> Iterator[None]:
        own, self.action = self.action, action
        try:
            yield
        finally:
            self.action = own

    def _stands_for(self, step: str) -> str:
        if step == "bemi_revert":
            return "update" if self._has("update") or not self._has("partial_update") else "partial_update"
        return _STANDS_FOR.get(step, step)

    def _has(self, name: str) -> bool:
        """Whether the viewset has an action that writes, by the method that it goes with."""
        return hasattr(self, name) and _METHODS[name].lower() in self.http_method_names

    def _step(self, request: Request) -> str | None:
        return self.action_map.get(str(request.method).lower())

    def _as_update(self, request: Request) -> Request:
        if self._step(request) != "bemi_revert":
            return request
        return clone_request(request, _METHODS[self._stands_for("bemi_revert")])

    def _revertible(self, fields: list[str] | None) -> list[str]:
        allowed = writable_fields(self)
        if unknown := sorted(set(fields or ()) - set(allowed)):
            raise ValidationError({"fields": [f"Not to be written: {', '.join(unknown)}."]})
        return allowed if fields is None else fields

    def _changes(self, changes: Any, *, many: bool = False) -> Any:
        context = {"masks": self.bemi_masks(), "fields": self.bemi_parameters.get("fields") or WITH_DIFF}
        return ChangeSerializer(changes, many=many, context=context).data

    def _page(self, changes: Any, represent: Any) -> Response:
        page = self.paginate_queryset(changes)
        return self.get_paginated_response(represent(page))

    def _last_sights(self, ends: list[Change]) -> Iterator[dict[str, Any]]:
        """Travel once for all rows that went in one transaction."""
        live = live_keys(self.get_queryset().model, ends)
        known = (end for end in ends if end.instance is not None and end.instance.pk not in live)
        for _, group in groupby(known, key=_transaction_of_end):
            yield from self._sights_before(list(group))

    def _sights_before(self, ends: list[Change]) -> Iterator[dict[str, Any]]:
        masks, sights = super().bemi_masks(), []
        with looking_at(moment_before(ends[0]), self.request.user):
            for end in ends:
                with suppress(Http404, NotAuthenticated, PermissionDenied):
                    instance = seen_in(self, end.instance.pk)  # type: ignore[union-attr]
                    sights.append((end, represented(self, instance, masks)))
        for end, representation in sights:
            yield {"object": representation, "change": self._changes(end)}


def _transaction_of_end(end: Change) -> Any:
    """Of a row that a TRUNCATE took, nothing but its own last change is at hand."""
    return end.position if end.operation == Operation.DELETE else end.pk
