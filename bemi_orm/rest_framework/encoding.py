"""JSON that holds what PostgreSQL held: numbers with all their digits, and no value is lost."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.utils.encoders import JSONEncoder


class ExactJSONEncoder(JSONEncoder):
    """Writes a Decimal as a number, NaN and Infinity as texts, as `to_jsonb` does; the rest as the framework.

    What neither knows, such as a range, becomes its text: a response is never lost for one value.
    """

    def encode(self, o: Any) -> str:
        """Give the JSON text; the standard encoder has no way to write a number from its digits."""
        if isinstance(o, Decimal | float) and not math.isfinite(o):
            return json.dumps(str(o) if isinstance(o, Decimal) else _float_text(o))
        if isinstance(o, Decimal):
            return format(o, "f")
        if isinstance(o, dict):
            return (
                f"{{{','.join(f'{self._text(str(key))}:{self.encode(value)}' for key, value in o.items())}}}"
            )
        if isinstance(o, list | tuple):
            return f"[{','.join(map(self.encode, o))}]"
        return self._text(o)

    def default(self, o: Any) -> Any:
        """Give a JSON value for what is none."""
        if isinstance(o, bytes | memoryview):
            return f"\\x{bytes(o).hex()}"
        try:
            return super().default(o)
        except TypeError:
            return str(o)

    def _text(self, o: Any) -> str:
        return super().encode(o)


class ExactJSONRenderer(JSONRenderer):
    """The framework's JSON, by `ExactJSONEncoder`."""

    encoder_class = ExactJSONEncoder


def exact_renderer(renderer: BaseRenderer) -> BaseRenderer:
    """Give the renderer to use for one of the project's: exact where it writes plain JSON."""
    return ExactJSONRenderer() if type(renderer) is JSONRenderer else renderer


def exact_line(data: Any) -> str:
    """Give JSON in one line, non-ASCII kept."""
    return json.dumps(data, cls=ExactJSONEncoder, ensure_ascii=False)


def _float_text(value: float) -> str:
    return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
