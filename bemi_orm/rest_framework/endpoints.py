"""What all endpoints have in common: parameters checked, errors explained, private answers with an ETag."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from django.http import Http404, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from bemi_orm.access import access
from bemi_orm.exceptions import BemiError, MomentError, NotCapturedError, RevertConflict
from bemi_orm.masking import Masks
from bemi_orm.models import Change
from bemi_orm.querysets import ChangeQuerySet
from bemi_orm.rest_framework.encoding import exact_renderer
from bemi_orm.rest_framework.parameters import Parameters, Values, read_parameters
from bemi_orm.rest_framework.reverting import shown_conflicts

RETRY_SECONDS = 5
"""After which a moment that was not stored yet is worth another try."""


class Refused(APIException):
    """The request is right, but what is stored, or the tables as they are, do not allow it now."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "Not possible now."
    default_code = "conflict"


class BemiEndpoints(GenericViewSet[Any]):
    """Acts on the actions of a viewset that declare their parameters, and leaves the others alone."""

    bemi_parameters_class: ClassVar[type[Parameters] | None] = None
    bemi_ordering: ClassVar[str] = "-id"
    bemi_parameters: Values

    def bemi_parameter_names(self) -> tuple[str, ...]:
        """Give names of parameters that are read elsewhere, such as those of filters."""
        return ()

    def bemi_masks(self) -> Masks:
        """Give what the user of the request sees masked."""
        return access().masked(self.request.user)

    def bemi_seen(self) -> ChangeQuerySet[Change]:
        """Give the changes that a revert may take, and name as its obstacles."""
        return access().scope(self.request.user, Change.objects.all())

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the parameters when it is known that the user may ask at all."""
        super().initial(request, *args, **kwargs)
        wanted = self.bemi_parameters_class
        if wanted is not None and any("\0" in value for value in kwargs.values()):
            raise Http404  # no text in PostgreSQL holds it, and drivers fail on it
        if wanted is not None and request.method != "OPTIONS":
            self.bemi_parameters = read_parameters(request.query_params, wanted, self.bemi_parameter_names())

    def get_renderers(self) -> list[BaseRenderer]:
        """Write numbers with all their digits."""
        renderers = super().get_renderers()
        return renderers if self.bemi_parameters_class is None else list(map(exact_renderer, renderers))

    def handle_exception(self, exc: Exception) -> Response:
        """Answer errors of bemi_orm with a status that says whose turn it is."""
        if isinstance(exc, BemiError) and hasattr(self, "bemi_parameters"):  # so the user may ask
            exc = self._explained(exc)
        return super().handle_exception(exc)

    def _explained(self, error: BemiError) -> APIException:
        match error:
            case MomentError():
                return ValidationError({"at": [str(error)]})
            case RevertConflict():
                conflicts = shown_conflicts(error.conflicts, self.bemi_seen(), self.bemi_masks())
                return _with_detail("The revert was refused, and nothing was changed.", conflicts=conflicts)
            case NotCapturedError():
                refused = _with_detail(str(error), lag_bytes=error.lag_bytes, lag_seconds=error.lag_seconds)
                refused.wait = RETRY_SECONDS  # type: ignore[attr-defined]
                return refused
            case _:
                return _with_detail(str(error))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep answers out of shared caches; let clients ask whether theirs is still good."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if self.bemi_parameters_class is not None:
            patch_cache_control(final, private=True, no_cache=True)
            if isinstance(final, Response) and request.method in ("GET", "HEAD") and final.status_code == 200:
                final.add_post_render_callback(lambda rendered: _conditional(request, rendered))
        return final


def _with_detail(detail: str, **more: Any) -> Refused:
    refused = Refused(detail)
    refused.detail = {"detail": detail, **more}  # type: ignore[dict-item]
    return refused


def _conditional(request: Request, response: HttpResponse) -> HttpResponse | None:
    """Give 304 where the client has this very answer; the ETag is of what was rendered for this user."""
    etag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    response["ETag"] = etag
    answer = get_conditional_response(request._request, etag=etag, response=response)
    return None if answer is response else answer
