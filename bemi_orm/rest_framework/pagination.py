"""Pages by the id of the last change: quick at any depth, and stable while changes arrive."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, Final
from uuid import UUID

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from bemi_orm.rest_framework.parameters import Values

_EXAMPLE: Final = b64encode(b"p=00000000-0000-8180-8000-000040000000").decode()


class ChangeCursorPagination(CursorPagination):
    """Cursor pagination over changes, in commit order; the view has read the parameters."""

    ordering = "-id"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """Give the page, and with `count=estimate` what the planner makes of the whole."""
        parameters: Values = view.bemi_parameters
        self.page_size = parameters["page_size"]
        self.ordering = parameters.get("ordering", view.bemi_ordering)
        self.estimate = estimated_count(queryset) if parameters.get("count") == "estimate" else None
        page: list[Any] | None = super().paginate_queryset(queryset, request, view)
        if "at" in parameters:
            self.base_url = replace_query_param(str(self.base_url), "at", parameters["at"])
        return page

    def decode_cursor(self, request: Request) -> Any:
        """Give the cursor; raises ValidationError for one that no page has had."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                UUID(str(cursor.position))
        except (NotFound, ValueError, TypeError, AttributeError):
            raise ValidationError(
                {"cursor": ["Invalid cursor. Follow next and previous of a page."]}
            ) from None
        return cursor

    def get_page_size(self, request: Request) -> int | None:
        """Give what the view has read."""
        return self.page_size

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        """Give what the view has read."""
        return (self.ordering,)

    def get_paginated_response(self, data: Any) -> Response:
        """Give the page with its links."""
        page = {"next": self.get_next_link(), "previous": self.get_previous_link()}
        counted = {} if self.estimate is None else {"estimated_count": self.estimate}
        return Response({**page, **counted, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe the page for OpenAPI."""
        link = {
            "type": "string",
            "format": "uri",
            "nullable": True,
            "example": f"/changes/?cursor={_EXAMPLE}",
        }
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": link,
                "previous": link,
                "estimated_count": {"type": "integer", "example": 123},
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Give none: the view's parameters describe the cursor."""
        return []


def estimated_count(queryset: Any) -> int:
    """Give the planner's guess at the number of rows; nothing is read, nor asked where there can be none."""
    explained = queryset.order_by().explain(format="json")
    if not explained:
        return 0
    (plan,) = json.loads(explained)
    return int(plan["Plan"]["Plan Rows"])
