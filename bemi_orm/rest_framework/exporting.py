"""Exports that take as much memory for a million changes as for a thousand."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from bemi_orm.models import Change
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.rest_framework.encoding import exact_line
from bemi_orm.rest_framework.serializers import ChangeSerializer

CHUNK: Final = 1_000
"""Changes that are in memory at a time."""

CONTENT_TYPES: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}

_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet takes for a formula, in full width too."""


class AnyAccept(DefaultContentNegotiation):
    """Takes `Accept: text/csv` and its like: what is exported is a parameter, and errors are as usual."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Give what is asked for, or else the first."""
        renderers = list(renderers)
        try:
            found: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            return renderers[0], str(renderers[0].media_type)
        return found


def export(
    changes: ChangeQuerySet[Change],
    serializer: ChangeSerializer,
    *,
    form: str,
    descending: bool,
    request: HttpRequest,
) -> StreamingHttpResponse:
    """Give a download of the changes in commit order.

    serializer: gives what is written of a change. form: `csv` or `jsonl`.
    """
    represent = serializer.to_representation
    rows = (represent(change) for chunk in chunks(changes, descending=descending) for change in chunk)
    lines = csv_lines(serializer.fields, rows) if form == "csv" else json_lines(rows)
    response = StreamingHttpResponse(
        _in_threads(lines) if isinstance(request, ASGIRequest) else lines, content_type=CONTENT_TYPES[form]
    )
    response["Content-Disposition"] = f'attachment; filename="changes.{form}"'
    return response


def chunks(changes: ChangeQuerySet[Change], *, descending: bool) -> Iterator[list[Change]]:
    """Read on from the last id: no cursor stays open, which a transaction-mode pooler would not allow."""
    ordered = changes.desc() if descending else changes.asc()
    beyond = "id__lt" if descending else "id__gt"
    chunk = list(ordered[:CHUNK])
    while chunk:
        yield chunk
        chunk = list(ordered.filter(**{beyond: chunk[-1].pk})[:CHUNK]) if len(chunk) == CHUNK else []


def json_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Give one line of JSON for each."""
    for row in rows:
        yield f"{exact_line(row)}\n"


def csv_lines(names: Iterable[str], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Give a line of names, then one for each; objects are JSON in a cell.

    A text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV Injection").
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for cells in chain([names], (map(_cell, row.values()) for row in rows)):
        writer.writerow(cells)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return exact_line(value)
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not isinstance(value, int) else text


async def _in_threads(lines: Iterator[str]) -> AsyncIterator[str]:
    """Under ASGI a synchronous iterator would be read to its end before the first byte is sent."""
    following = sync_to_async(lambda: next(lines, None))
    while (line := await following()) is not None:
        yield line
