"""What OpenAPI says of the endpoints, where drf-spectacular is installed; without it nothing happens."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from bemi_orm.rest_framework import examples, parameters, reverting, serializers

try:
    from drf_spectacular.types import OpenApiTypes
    from drf_spectacular.utils import (
        OpenApiExample,
        OpenApiParameter,
        OpenApiResponse,
        extend_schema,
        extend_schema_view,
    )
except ModuleNotFoundError:
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

_View = TypeVar("_View", bound=type)


def described(view: _View) -> _View:
    """Describe `ChangeViewSet`; a class decorator."""
    if not IS_INSTALLED:
        return view
    refused = OpenApiResponse(
        reverting.RefusalSerializer, description="Not possible now; nothing was changed."
    )
    filters = [
        OpenApiParameter(name, str, description=text, examples=[OpenApiExample(value, value)])
        for name, value, text in examples.PATHS
    ]
    problem = OpenApiResponse(dict[str, Any], description="A parameter is wrong; it is named.")

    def of(response: Any, *wanted: Any, example: Any = None, **options: Any) -> Any:
        shown = (
            [OpenApiExample("Example", example, response_only=True, status_codes=["200"])] if example else []
        )
        answers = {200: response, 400: problem, **options.pop("errors", {})}
        return extend_schema(parameters=list(wanted), responses=answers, examples=shown, **options)

    one, many = serializers.ChangeSerializer, serializers.ChangeSerializer(many=True)
    conflict, gone = (
        {409: refused},
        {404: OpenApiResponse(dict[str, str], description="Not there, or not for you.")},
    )
    documented: _View = extend_schema_view(
        list=of(many, parameters.ListParameters, *filters, example=examples.CHANGE),
        retrieve=of(one, parameters.ChangeParameters, example=examples.CHANGE, errors=gone),
        diff=of(one, example=examples.DIFF, errors=gone),
        instance=of(serializers.InstanceSerializer, example=examples.INSTANCE, errors=gone),
        transaction=of(
            many, parameters.TransactionParameters, example=examples.CHANGE, errors=gone, filters=False
        ),
        revert_plan=of(
            reverting.PlanSerializer, parameters.PlanParameters, example=examples.PLAN, errors=gone | conflict
        ),
        revert=of(
            reverting.ResultSerializer,
            request=reverting.RevertOrderSerializer,
            errors=gone | conflict,
        ),
        state=of(
            serializers.StateSerializer(many=True),
            parameters.StateParameters,
            *filters,
            example=examples.STATE,
            errors=conflict,
        ),
        deleted=of(many, parameters.DeletedParameters, *filters, example=examples.CHANGE),
        facets=of(
            serializers.FacetsSerializer,
            parameters.FacetParameters,
            *filters,
            example=examples.FACETS,
            filters=True,
        ),
        export=extend_schema(
            parameters=[parameters.ExportParameters, *filters],
            responses={
                (200, "application/x-ndjson"): str,
                (200, "text/csv"): str,
                (400, "application/json"): problem,
            },
            filters=True,
        ),
    )(view)
    return documented


def described_history(view: _View) -> _View:
    """Describe `BemiHistoryViewMixin`; a class decorator."""
    if not IS_INSTALLED:
        return view
    refused = {409: OpenApiResponse(reverting.RefusalSerializer, description="Not possible now.")}
    change_id = OpenApiParameter("change_id", UUID, OpenApiParameter.PATH)
    descriptions = {
        "bemi_history": extend_schema(
            parameters=[parameters.TransactionParameters],
            responses=serializers.ChangeSerializer(many=True),
            filters=False,
        ),
        "bemi_history_change": extend_schema(
            parameters=[parameters.ChangeParameters, change_id], responses=serializers.ChangeSerializer
        ),
        "bemi_as_of": extend_schema(parameters=[parameters.MomentParameters]),
        "bemi_revert": extend_schema(
            request=reverting.ObjectRevertSerializer, responses={200: reverting.ResultSerializer, **refused}
        ),
        "bemi_restore": extend_schema(request=None, responses={201: OpenApiTypes.OBJECT, **refused}),
        "bemi_deleted": extend_schema(
            parameters=[parameters.DeletedObjectsParameters],
            responses=serializers.GoneSerializer(many=True),
            filters=False,
        ),
    }
    for name, describe in descriptions.items():
        setattr(view, name, describe(getattr(view, name)))
    return view
