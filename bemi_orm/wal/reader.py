"""A bounds-checked cursor over one message, for all but the row images."""

from __future__ import annotations

from struct import Struct
from typing import Final

from bemi_orm.exceptions import DecodeError

_UINT16: Final = Struct(">H")
_UINT32: Final = Struct(">I")
_INT32: Final = Struct(">i")
_UINT64: Final = Struct(">Q")
_INT64: Final = Struct(">q")


class Reader:
    """Reads big-endian values one after another; each method raises DecodeError where the bytes end early.

    offset: the place of the next byte to read.
    """

    __slots__ = ("data", "offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data = data
        self.offset = offset

    def uint8(self) -> int:
        """One byte."""
        return self.raw(1)[0]

    def uint16(self) -> int:
        """Two bytes."""
        return self._number(_UINT16)

    def uint32(self) -> int:
        """Four bytes: an OID, a transaction id or a length."""
        return self._number(_UINT32)

    def int32(self) -> int:
        """Four bytes with a sign."""
        return self._number(_INT32)

    def uint64(self) -> int:
        """Eight bytes: an LSN."""
        return self._number(_UINT64)

    def int64(self) -> int:
        """Eight bytes with a sign: a time."""
        return self._number(_INT64)

    def flags(self, known: int) -> int:
        """One byte of flags; a bit that is not in `known` has a meaning that we would miss."""
        flags = self.uint8()
        if flags & ~known:
            raise DecodeError(f"Unknown flags {flags:#04x}", self.offset - 1)
        return flags

    def char(self, allowed: str) -> str:
        """One ASCII character out of `allowed`."""
        char = chr(self.uint8())
        if char not in allowed:
            raise DecodeError(f"Expected one of {allowed!r}, found {char!r}", self.offset - 1)
        return char

    def string(self) -> str:
        """UTF-8 text up to a zero byte."""
        start = self.offset
        end = self.data.find(0, start)
        if end < 0:
            raise DecodeError("A text without its closing zero byte", start)
        self.offset = end + 1
        try:
            return self.data[start:end].decode()
        except UnicodeDecodeError as error:
            raise DecodeError("A text that is not UTF-8", start + error.start) from None

    def raw(self, length: int) -> bytes:
        """The next `length` bytes."""
        start = self.offset
        end = start + length
        if end > len(self.data):
            raise DecodeError(f"Expected {length} more bytes, found {len(self.data) - start}", start)
        self.offset = end
        return self.data[start:end]

    def finish(self) -> None:
        """Check that nothing is left over."""
        if self.offset != len(self.data):
            raise DecodeError(f"{len(self.data) - self.offset} bytes too many", self.offset)

    def _number(self, form: Struct) -> int:
        value: int = form.unpack(self.raw(form.size))[0]
        return value
