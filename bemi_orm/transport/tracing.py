"""Ids by which a change is joined with what other services recorded of the same action.

Nothing is imported for it: who uses OpenTelemetry or django-guid has loaded it already.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Final

from django.http import HttpRequest

from bemi_orm.transport.counters import TRACING_FAILED, count_error

TRACE_ID_KEY: Final = "trace_id"
SPAN_ID_KEY: Final = "span_id"
CORRELATION_ID_KEY: Final = "correlation_id"

_HEADERS: Final = ("X-Request-ID", "X-Correlation-ID")
_OPENTELEMETRY: Final = "opentelemetry.trace"
_DJANGO_GUID: Final = "django_guid"
_PLAIN_ID: Final = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)


def tracing_ids() -> dict[str, str]:
    """Give `trace_id` and `span_id` of OpenTelemetry's running span, as W3C Trace Context spells them in hex
    digits, and `correlation_id` of django-guid; only those that exist now. Never raises.
    """
    if _OPENTELEMETRY not in sys.modules and _DJANGO_GUID not in sys.modules:
        return {}
    try:
        return {**_span_ids(), **_guid()}
    except Exception as error:
        count_error(TRACING_FAILED, error)
        return {}


def request_correlation_id(request: HttpRequest) -> Mapping[str, str]:
    """Give `correlation_id` from the header `X-Request-ID`, else `X-Correlation-ID`; empty if there is none.

    Whoever sends the request chooses it: it joins records, and proves nothing. So it never replaces
    `request_id`, and what is longer than 128 characters or is not a plain word is left out.
    """
    for name in _HEADERS:
        value = request.headers.get(name, "")
        if _PLAIN_ID.fullmatch(value):
            return {CORRELATION_ID_KEY: value}
    return {}


def _span_ids() -> dict[str, str]:
    trace = sys.modules.get(_OPENTELEMETRY)
    if trace is None:
        return {}
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {TRACE_ID_KEY: f"{span.trace_id:032x}", SPAN_ID_KEY: f"{span.span_id:016x}"}


def _guid() -> dict[str, str]:
    django_guid = sys.modules.get(_DJANGO_GUID)
    guid = django_guid.get_guid() if django_guid else None
    return {CORRELATION_ID_KEY: guid} if guid else {}
