"""The context of an HTTP request, found when the request first writes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache
from typing import Any, Final

from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections
from django.http import HttpRequest
from django.utils.functional import LazyObject, empty
from django.utils.module_loading import import_string

from bemi_orm.conf import settings
from bemi_orm.transport.building import building, is_building
from bemi_orm.transport.counters import FUNCTION_FAILED, count_error
from bemi_orm.transport.tracing import request_correlation_id

ERROR_KEY: Final = "_bemi_error"
"""Holds the class of the error that kept the rest of a context away."""

_REQUEST_ID: Final = "bemi_orm.request_id"


def default_request_context(request: HttpRequest) -> dict[str, Any]:
    """Give `user_id` (None if anonymous), `method`, `path` without query, and `request_id`.

    The request id is a new UUID, kept in `request.META["bemi_orm.request_id"]`. A request that came with an
    id of its own, in `X-Request-ID` or `X-Correlation-ID`, has that as `correlation_id`.
    """
    return {
        "user_id": getattr(getattr(request, "user", None), "pk", None),
        "method": request.method,
        "path": request.path,
        "request_id": request.META.setdefault(_REQUEST_ID, str(uuid.uuid4())),
        **request_correlation_id(request),
    }


def call_context_function(request: HttpRequest) -> dict[str, Any]:
    """Give what `BEMI_CONTEXT_FUNCTION` gives for a request, called afresh.

    In an event loop, where a function that queries (for the user, say) is refused, it is called again in a
    thread of its own, and waited for: so a task that an async view publishes has its caller's context.
    Raises what it raises, and TypeError where it does not return a dict.
    """
    function = _load(settings.CONTEXT_FUNCTION)
    try:
        data = function(request)
    except SynchronousOnlyOperation:
        with ThreadPoolExecutor(max_workers=1) as thread:
            data = thread.submit(copy_context().run, _call_and_disconnect, function, request).result()
    if not isinstance(data, Mapping):
        raise TypeError(f"BEMI_CONTEXT_FUNCTION must return a dict, not {type(data).__name__}")
    return dict(data)


def _call_and_disconnect(function: Callable[[HttpRequest], Any], request: HttpRequest) -> Any:
    try:
        return function(request)
    finally:
        connections.close_all()  # those of this thread


class RequestContext:
    """Calls `BEMI_CONTEXT_FUNCTION` for one request at the first need, and again if its user has changed.

    Never raises: a failure is counted, logged once, and named under `_bemi_error`; the next need tries again.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._data: Mapping[str, Any] | None = None
        self._user: Any = None
        self._user_pk: Any = None

    def __call__(self) -> Mapping[str, Any]:
        """Give the request's keys; none for what the context function itself asks or writes."""
        if is_building():
            return {}
        if self._data is None or self._has_other_user():
            return self._call()
        return self._data

    def _call(self) -> Mapping[str, Any]:
        self._data = None
        try:
            with building():
                data = call_context_function(self._request)
            self._user = getattr(self._request, "user", None)
            self._user_pk = _pk_if_loaded(self._user)
        except Exception as error:
            count_error(FUNCTION_FAILED, error)
            return {ERROR_KEY: type(error).__name__}
        self._data = data
        return data

    def _has_other_user(self) -> bool:
        user = getattr(self._request, "user", None)
        return user is not self._user or _pk_if_loaded(user) != self._user_pk


@lru_cache(maxsize=8)
def _load(path: str) -> Callable[[HttpRequest], Any]:
    function: Callable[[HttpRequest], Any] = import_string(path)
    return function


def _pk_if_loaded(user: Any) -> Any:
    """A lazy user that nobody has looked at is not loaded for our sake."""
    if isinstance(user, LazyObject) and user._wrapped is empty:
        return None
    return getattr(user, "pk", None)
