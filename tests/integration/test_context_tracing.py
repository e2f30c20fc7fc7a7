"""Ids of OpenTelemetry, django-guid and request headers are part of the context, where there are any."""

import pytest
from django.test import RequestFactory

from bemi_orm.transport import counters
from bemi_orm.transport.carrying import CarriedContext
from bemi_orm.transport.request import default_request_context
from bemi_orm.transport.scope import context, current_context, source_scope
from bemi_orm.transport.tracing import tracing_ids
from tests.integration.context_log import ContextLog
from tests.todos.models import Tag

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"


@pytest.fixture
def span():
    trace = pytest.importorskip("opentelemetry.trace")
    span = trace.NonRecordingSpan(trace.SpanContext(int(TRACE_ID, 16), int(SPAN_ID, 16), is_remote=False))
    with trace.use_span(span):
        yield span


@pytest.fixture
def guid():
    django_guid = pytest.importorskip("django_guid")
    django_guid.set_guid("guid-1")
    yield "guid-1"
    django_guid.clear_guid()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("span")
def test_what_is_written_in_a_span():
    log = ContextLog()
    try:
        with context(user=1):
            Tag.objects.create(code="a")
        (row,) = log.rows()
    finally:
        log.close()
    del row.context["SQL"]
    assert row.context == {"user": 1, "trace_id": TRACE_ID, "span_id": SPAN_ID}


def test_none_outside_of_a_span():
    pytest.importorskip("opentelemetry.trace")
    assert tracing_ids() == {}


@pytest.mark.usefixtures("span", "guid")
def test_keys_of_the_project_win():
    with source_scope(lambda: {"trace_id": "mine"}), context(correlation_id=1):
        assert current_context() == {"trace_id": "mine", "span_id": SPAN_ID, "correlation_id": 1}


@pytest.mark.usefixtures("span")
def test_the_span_that_runs_wins_over_the_callers():
    source = CarriedContext('{"user": 1, "trace_id": "far", "span_id": "far", "correlation_id": "far"}')
    assert source() == {"user": 1, "trace_id": TRACE_ID, "span_id": SPAN_ID, "correlation_id": "far"}


@pytest.mark.usefixtures("guid")
def test_django_guid():
    with context():
        assert current_context() == {"correlation_id": "guid-1"}


def test_a_tracer_that_fails_costs_its_ids_only(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.trace", object())
    counters.reset()
    assert tracing_ids() == {}
    assert counters.counts() == {counters.TRACING_FAILED: 1}
    counters.reset()


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"X-Request-ID": "a-1", "X-Correlation-ID": "b"}, "a-1"),
        ({"X-Correlation-ID": "b"}, "b"),
        ({"X-Request-ID": "x" * 129}, None),
        ({"X-Request-ID": "<script>", "X-Correlation-ID": "b"}, "b"),
        ({"X-Request-ID": "a\nb"}, None),
        ({}, None),
    ],
)
def test_request_headers(headers, found):
    given = default_request_context(RequestFactory().get("/", headers=headers))
    assert given.get("correlation_id") == found
    assert given["request_id"] not in (None, found)
