"""A context as JSON text that PostgreSQL's jsonb accepts, whatever a project puts into it.

Django's JSON encoder decides what a value looks like. What it cannot encode becomes its `str()`, keys
become strings, NaN and Infinity the words. jsonb cannot hold U+0000 or half a surrogate pair (PostgreSQL
manual, 8.14 "JSON Types"): each becomes U+FFFD. Whatever is altered is named in the JSON and counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder

from bemi_orm.transport import counters
from bemi_orm.transport.building import building

REPLACED_KEY: Final = "_bemi_replaced"
"""Lists the keys in which characters that jsonb cannot hold were replaced by U+FFFD."""

TRUNCATED_KEY: Final = "_bemi_truncated"
"""Lists the keys whose values were too large and gave way to `TRUNCATED_MARK`; `["*"]`: all of them."""

TRUNCATED_MARK: Final = "[truncated]"
MAX_DEPTH: Final = 64

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_UNSTORABLE_ESCAPE: Final = re.compile(
    r"\\u0000|\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f]"
)


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, set | frozenset):
            return sorted(o, key=str)
        if isinstance(o, bytes | bytearray | memoryview):
            return bytes(o).decode("utf-8", "backslashreplace")
        try:
            return super().default(o)
        except (TypeError, ValueError):  # ValueError: a time with a zone
            counters.count(counters.VALUE_AS_TEXT, type(o).__qualname__)
            with building():
                return str(o)


_to_json: Final = _Encoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode

_PLAIN: Final[Mapping[type, Callable[[Any], str]]] = {
    str: encode_basestring_ascii,
    int: int.__repr__,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}
"""What a JSON encoder makes of values; to set one up takes three times as long as to use it."""


def encode(context: Mapping[str, Any], max_bytes: int) -> str:
    """Give the context as a safe ASCII JSON object of at most `max_bytes` bytes; no value makes it raise.

    Safe: it holds no quote, placeholder or comment sign of SQL.
    """
    try:
        text = _escape(_to_json(context))
    except Exception:  # the values that are to blame are looked for one by one
        return _encode_each(context, max_bytes)
    if len(text) > max_bytes or _is_unstorable(text) or text.count("[") + text.count("{") > MAX_DEPTH:
        return _encode_each(context, max_bytes)
    return text


def _is_unstorable(text: str) -> bool:
    return "\\u" in text and bool(_UNSTORABLE_ESCAPE.search(text.replace(r"\\", "")))


def encode_plain(context: Mapping[str, Any], max_bytes: int) -> str | None:
    """Give what `encode` gives if all keys are strings, all values of `_PLAIN`, and nothing is to be altered.

    Else None. Most contexts are so, and it takes a fraction of the time.
    """
    try:
        pairs = [
            f"{encode_basestring_ascii(key)}:{_PLAIN[type(value)](value)}" for key, value in context.items()
        ]
    except (KeyError, TypeError, ValueError):  # ValueError: a number of thousands of digits
        return None
    text = f"{{{','.join(pairs)}}}"
    if "'" in text or "%" in text or "*" in text or "--" in text or r"\u" in text or len(text) > max_bytes:
        return None
    return text


def encode_text(text: str) -> str:
    """Give a string as a safe ASCII JSON string that jsonb accepts."""
    return _dumps(_UNSTORABLE.sub("\ufffd", text))


def _encode_each(context: Mapping[str, Any], max_bytes: int) -> str:
    values: dict[str, str] = {}
    replaced: list[str] = []
    for key, value in context.items():
        key_text = _key_text(key)
        name = _UNSTORABLE.sub("\ufffd", key_text)
        values[name], is_replaced = _encode_value(value)
        if is_replaced or name != key_text:
            replaced.append(name)
    if replaced:
        values[REPLACED_KEY] = _dumps(replaced)
        counters.count(counters.CHARACTERS_REPLACED, "characters that jsonb cannot hold")
    return _fit(values, max_bytes)


def _dumps(value: Any) -> str:
    return _escape(_to_json(value))


def _escape(text: str) -> str:
    """Make JSON safe in literals and comments, and for drivers; only its strings hold what is replaced."""
    safe = text.replace("'", r"\u0027").replace("%", r"\u0025").replace("*", r"\u002a")
    return safe.replace("--", r"\u002d\u002d")


def _key_text(key: Any) -> str:
    """A key as the encoder itself writes it, where it takes it."""
    if isinstance(key, str):
        return key
    try:
        if key is None or isinstance(key, int) or (isinstance(key, float) and math.isfinite(key)):
            return _to_json(key)
        with building():
            return str(key)
    except Exception as error:
        counters.count_error(counters.VALUE_DROPPED, error)
        return f"[{type(key).__qualname__}: {type(error).__name__}]"


def _encode_value(value: Any) -> tuple[str, bool]:
    try:
        plain = _Plainer()
        return _dumps(plain(value)), plain.has_replaced
    except Exception as error:  # `__str__` of a project's class may raise anything
        counters.count_error(counters.VALUE_DROPPED, error)
        return encode_text(f"[{type(value).__qualname__}: {type(error).__name__}]"), False


class _Plainer:
    """Turns a value into dicts, lists and scalars that can be encoded and stored."""

    def __init__(self) -> None:
        self.has_replaced = False
        self._around: list[int] = []

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if value is None or isinstance(value, int):
            return value
        if id(value) in self._around or len(self._around) > MAX_DEPTH:
            return "[cycle]" if id(value) in self._around else "[too deep]"
        return self._nested(value)

    def _nested(self, value: Any) -> Any:
        self._around.append(id(value))
        try:
            if isinstance(value, Mapping):
                return {self._text(_key_text(key)): self(item) for key, item in value.items()}
            if isinstance(value, list | tuple):
                return [self(item) for item in value]
            return self(_Encoder().default(value))
        finally:
            self._around.pop()

    def _text(self, value: str) -> str:
        text, replacements = _UNSTORABLE.subn("\ufffd", value)
        self.has_replaced |= replacements > 0
        return text


def _fit(values: dict[str, str], max_bytes: int) -> str:
    """Join encoded values; the largest give way until the object fits."""
    text = _join(values)
    by_size = sorted((key for key in values if key != REPLACED_KEY), key=lambda key: -len(values[key]))
    truncated: list[str] = []
    for key in by_size:
        if len(text) <= max_bytes:
            break
        truncated.append(key)
        values[key] = _dumps(TRUNCATED_MARK)
        values[TRUNCATED_KEY] = _dumps(truncated)
        text = _join(values)
    if truncated:
        counters.count(counters.TRUNCATED, "BEMI_CONTEXT_MAX_BYTES")
    return text if len(text) <= max_bytes else _join({TRUNCATED_KEY: '["*"]'})


def _join(values: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{_dumps(key)}:{value}" for key, value in values.items()) + "}"
