"""The endpoints of all changes, for those who audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.http import StreamingHttpResponse
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from bemi_orm.access import access
from bemi_orm.models import Change
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.rest_framework import parameters, schema
from bemi_orm.rest_framework.endpoints import BemiEndpoints
from bemi_orm.rest_framework.exporting import AnyAccept, export
from bemi_orm.rest_framework.faceting import count_facets
from bemi_orm.rest_framework.filterfields import PREFIXES
from bemi_orm.rest_framework.filters import ChangeFilterBackend, ChangeFilterSet, filter_names
from bemi_orm.rest_framework.moments import past_moment
from bemi_orm.rest_framework.pagination import ChangeCursorPagination
from bemi_orm.rest_framework.permissions import MayRevertChanges, MayViewChanges, throttles
from bemi_orm.rest_framework.reverting import (
    RevertOrderSerializer,
    apply_plan,
    fitting,
    shown_plan,
    shown_result,
)
from bemi_orm.rest_framework.serializers import (
    ChangeSerializer,
    FacetsSerializer,
    StateSerializer,
    instance_of,
)

Changes = ChangeQuerySet[Change]


@schema.described
class ChangeViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, BemiEndpoints):
    """All changes that the user may see: to list, to read, to count, to export, to revert.

    Override `get_queryset` or set `BEMI_ACCESS` to narrow what is seen.
    """

    queryset = Change.objects.none()  # tells the router and OpenAPI the model
    serializer_class = ChangeSerializer
    permission_classes = [MayViewChanges]
    pagination_class = ChangeCursorPagination
    filter_backends = [ChangeFilterBackend]
    filterset_class = ChangeFilterSet
    throttle_classes = throttles()
    throttle_scope = "bemi_changes"
    lookup_value_regex = "[0-9a-fA-F-]{32,36}"
    bemi_parameters_class = parameters.ListParameters

    def get_queryset(self) -> Changes:
        """Give the changes that the user may see."""
        return access().scope(self.request.user, Change.objects.all())

    def bemi_seen(self) -> Changes:
        """Give the same, for what a revert takes and what stands in its way."""
        return self.get_queryset()

    def get_serializer_context(self) -> dict[str, Any]:
        """Add what is masked, and which fields are wanted."""
        values = getattr(self, "bemi_parameters", {})
        return {
            **super().get_serializer_context(),
            "masks": self.bemi_masks(),
            "fields": values.get("fields"),
        }

    def bemi_parameter_names(self) -> tuple[str, ...]:
        """Lists are filtered, one change is not."""
        return () if self.detail else (*filter_names(self.filterset_class), *PREFIXES)

    @action(detail=True, bemi_parameters_class=parameters.Parameters)
    def diff(self, request: Request, **kwargs: Any) -> Response:
        """What the change did to each field."""
        fields = ("id", "schema", "table", "model", "primary_key", "operation", "diff")
        context = {**self.get_serializer_context(), "fields": fields}
        return Response(ChangeSerializer(self.get_object(), context=context).data)

    @action(detail=True, bemi_parameters_class=parameters.Parameters)
    def instance(self, request: Request, **kwargs: Any) -> Response:
        """The row as the change left it, or as it was when the change deleted it."""
        return Response(instance_of(self.get_object(), self.bemi_masks()))

    @action(detail=True, bemi_parameters_class=parameters.TransactionParameters, bemi_ordering="id")
    def transaction(self, request: Request, **kwargs: Any) -> Response:
        """All changes of its transaction, in order."""
        return self._page(self.get_queryset().in_transaction(self.get_object()))

    @action(detail=True, bemi_parameters_class=parameters.PlanParameters)
    def revert_plan(self, request: Request, **kwargs: Any) -> Response:
        """What it would take to undo the change, and what stands in the way."""
        change: Change = self.get_object()
        with fitting():
            plan = change.revert_plan(missing_parents=self.bemi_parameters["missing_parents"])
        return Response(shown_plan(plan, self.bemi_seen(), self.bemi_masks()))

    @action(
        detail=True,
        methods=["post"],
        permission_classes=[MayRevertChanges],
        serializer_class=RevertOrderSerializer,
        throttle_scope="bemi_revert",
        bemi_parameters_class=parameters.Parameters,
    )
    def revert(self, request: Request, **kwargs: Any) -> Response:
        """Undo the change, in one transaction."""
        order = RevertOrderSerializer(data=request.data)
        order.is_valid(raise_exception=True)
        change: Change = self.get_object()
        with fitting():
            plan = change.revert_plan(missing_parents=order.validated_data["missing_parents"])
        masks = self.bemi_masks()
        result = apply_plan(plan, order.validated_data, self.bemi_seen(), masks)
        return Response(shown_result(result, self.bemi_seen(), masks))

    @action(detail=False, serializer_class=StateSerializer, bemi_parameters_class=parameters.StateParameters)
    def state(self, request: Request, **kwargs: Any) -> Response:
        """The rows of a table, or one row, as they were at a moment."""
        moment = past_moment(self.bemi_parameters["at"], self.get_queryset())
        if isinstance(moment, datetime):  # "2h" is another moment when the next page is asked for
            self.bemi_parameters["at"] = moment.isoformat()
        return self._page(self._of_table().as_of(moment))

    @action(detail=False, bemi_parameters_class=parameters.DeletedParameters)
    def deleted(self, request: Request, **kwargs: Any) -> Response:
        """The last change of each row of a table that is gone."""
        return self._page(self._of_table().of_gone_rows())

    @action(
        detail=False,
        serializer_class=FacetsSerializer,
        pagination_class=None,
        bemi_parameters_class=parameters.FacetParameters,
    )
    def facets(self, request: Request, **kwargs: Any) -> Response:
        """Counts for a chart; of the last 24 hours, if neither `since` nor `last` is given."""
        filterset = self.filterset_class(request.query_params, self.get_queryset(), request=request)
        facets = count_facets(filterset, self.bemi_parameters)
        return Response(FacetsSerializer(facets).data)

    @action(
        detail=False,
        pagination_class=None,
        content_negotiation_class=AnyAccept,
        throttle_scope="bemi_export",
        bemi_parameters_class=parameters.ExportParameters,
    )
    def export(self, request: Request, **kwargs: Any) -> StreamingHttpResponse:
        """All changes that the filters leave, as a stream."""
        return export(
            cast(Changes, self.filter_queryset(self.get_queryset())),
            cast(ChangeSerializer, self.get_serializer()),
            form=self.bemi_parameters["form"],
            descending=self.bemi_parameters["ordering"] == "-id",
            request=request._request,
        )

    def filter_queryset(self, queryset: Any) -> Any:
        """Filter; what is not asked for is not read."""
        return self._with_wanted_columns(cast(Changes, super().filter_queryset(queryset)))

    def _of_table(self) -> Changes:
        """The question would read all tables' history, so one has to be named."""
        if not {"table", "model"} & self.request.query_params.keys():
            raise parameters.missing("table", "Give table or model.")
        return cast(Changes, self.filter_queryset(self.get_queryset()))

    def _page(self, changes: Changes) -> Response:
        page = self.paginate_queryset(changes)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def _with_wanted_columns(self, changes: Changes) -> Changes:
        wanted = set(self.bemi_parameters.get("fields") or ("before", "after", "context"))
        needed = wanted | ({"before", "after"} if "diff" in wanted else set())
        return changes.defer(*({"before", "after", "context"} - needed))
