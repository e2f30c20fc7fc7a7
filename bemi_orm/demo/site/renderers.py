"""The REST API for people, in a browser that runs and styles nothing inline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer


class StrictPageRenderer(BrowsableAPIRenderer):
    """Django REST framework's pages, without the parts for which it writes styles into the page."""

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Leave out the colours of pygments and two buttons; the site's policy would block their styles."""
        context = super().get_context(data, accepted_media_type, renderer_context)
        return {**context, "code_style": None, "extra_actions": None, "filter_form": None}
