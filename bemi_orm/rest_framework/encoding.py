"""JSON that holds what PostgreSQL held: numbers with all their digits, and no value is lost."""

from __future__ import annotations

import json
import math
import re
import secrets
from decimal import Decimal
from typing import Any

from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.utils.encoders import JSONEncoder


class ExactJSONEncoder(JSONEncoder):
    """Writes a Decimal as a number, NaN and Infinity as texts, as `to_jsonb` does; the rest as the framework.

    What neither knows, such as a range, becomes its text: a response is never lost for one value.
    """

    def encode(self, o: Any) -> str:
        """Give the JSON text; the standard encoder cannot write a number from its digits, so it gets a text.

        The mark around that is random: no value can pretend to be one.
        """
        self._mark = secrets.token_hex(16)
        try:
            text = super().encode(o)
        except ValueError:  # a float that is no number
            text = super().encode(_without_odd_floats(o))
        return re.sub(f'"{self._mark}([^"]*)"', r"\1", text)

    def default(self, o: Any) -> Any:
        """Give a JSON value for what is none."""
        if isinstance(o, Decimal):
            return f"{self._mark}{o:f}" if o.is_finite() else str(o)
        if isinstance(o, bytes | memoryview):
            return f"\\x{bytes(o).hex()}"
        try:
            return super().default(o)
        except TypeError:
            return str(o)


class ExactJSONRenderer(JSONRenderer):
    """The framework's JSON, by `ExactJSONEncoder`."""

    encoder_class = ExactJSONEncoder


def exact_renderer(renderer: BaseRenderer) -> BaseRenderer:
    """Give the renderer to use for one of the project's: exact where it writes plain JSON."""
    return ExactJSONRenderer() if type(renderer) is JSONRenderer else renderer


def exact_line(data: Any) -> str:
    """Give JSON in one line, non-ASCII kept."""
    return json.dumps(data, cls=ExactJSONEncoder, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _without_odd_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_odd_floats(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_odd_floats(inner) for inner in value]
    return str(Decimal(value)) if isinstance(value, float) and not math.isfinite(value) else value
