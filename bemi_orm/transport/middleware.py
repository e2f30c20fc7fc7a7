"""The middleware that gives each request its scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from bemi_orm.transport.generators import iterate, iterate_async
from bemi_orm.transport.request import RequestContext
from bemi_orm.transport.scope import running_scope, source_scope


class BemiMiddleware:
    """Gives every write of a request the request's context, in sync and async views and streamed bodies.

    Its place in `MIDDLEWARE` does not matter for views; what middleware outside of it writes has no context.
    A request that writes nothing costs nothing: neither session nor user are touched.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Give the response of the next layer."""
        if self._is_async:
            return self._respond(request)
        with source_scope(RequestContext(request)):
            return _keep_scope(self.get_response(request))

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        with source_scope(RequestContext(request)):
            return _keep_scope(await self.get_response(request))


def _keep_scope(response: HttpResponseBase) -> HttpResponseBase:
    """A streamed body runs when the middleware has long returned: it takes the scope along."""
    if not isinstance(response, StreamingHttpResponse) or getattr(response, "file_to_stream", None):
        return response  # a file is left alone, as the server may send it by sendfile
    content: Any = response.streaming_content
    wrap: Any = iterate_async if response.is_async else iterate
    response.streaming_content = wrap(content, running_scope())
    return response
