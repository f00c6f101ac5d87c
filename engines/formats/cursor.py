"""Reads forward through a header, never past its end, with a bounded buffer.

Nothing that the header says is believed: every count and length is held against what is left of the
file before anything is made from it. Numbers are little endian.
"""

from __future__ import annotations

import struct
from typing import Final

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.source import ByteSource
from modeldeck.engines.text import clean

MAX_HEADER_BYTES: Final = 128 << 20
"""Several times the largest real one (a vocabulary of 260k tokens with its merges: 20 MB)."""

_FIRST_READ: Final = 64 << 10
_LARGEST_READ: Final = 256 << 10
_LARGEST_SURE_READ: Final = 1 << 20
_UNBELIEVABLE: Final = 1 << 40
_LENGTH: Final = struct.Struct("<Q")


def unsound(what: str) -> FormatError:
    """The error for a header that contradicts itself."""
    return FormatError(f"The file's header is not sound: {what}.", "Download the file again.")


class CutShort(FormatError):
    """A file ends too early.

    Attributes:
        missing: how much of it is not there, as a clause.
    """

    def __init__(self, missing_bytes: int, of: str) -> None:
        self.missing = f"at least {missing_bytes:,} bytes before the end of {of}"
        super().__init__(
            f"The download is not complete: the file ends {self.missing}.",
            "Let the download finish, or download the file again.",
        )


def cut_short(missing_bytes: int, of: str = "its header") -> CutShort:
    """The error for a file that ends too early, by at least ``missing_bytes``."""
    return CutShort(missing_bytes, of)


class Cursor:
    """A place in a source that only moves forward. Every method may raise FormatError, OSError."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._size = source.size_bytes
        self._base = 0
        self._buffer = b""
        self._at = 0
        self._read_bytes = _FIRST_READ
        self._sure_until = 0

    @property
    def offset(self) -> int:
        """Bytes from the start of the source."""
        return self._base + self._at

    def require(self, count: int) -> None:
        """Make sure that the source has ``count`` bytes from here on."""
        missing = self.offset + count - self._size
        if missing > _UNBELIEVABLE:
            raise unsound(f"something of {count:,} bytes in it")
        if missing > 0:
            raise cut_short(missing)
        if self.offset + count > MAX_HEADER_BYTES:
            raise unsound(f"it is longer than {MAX_HEADER_BYTES >> 20} MiB")

    def require_items(self, count: int, least_bytes: int, most: int, what: str) -> None:
        """Make sure that ``count`` things of at least ``least_bytes`` each are believable here.

        They will be read, so a source where bytes are dear may get that much at once.
        """
        if count > most:
            raise unsound(f"{count:,} {what}")
        self.require(count * least_bytes)
        self._sure_until = max(self._sure_until, self.offset + count * least_bytes)

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        self._fill(count)
        self._at += count
        return self._buffer[self._at - count : self._at]

    def skip(self, count: int) -> None:
        """Move over ``count`` bytes, unread where they are not in the buffer yet."""
        self.require(count)
        self._at += count
        if self._at > len(self._buffer):
            self._base, self._at, self._buffer = self.offset, 0, b""

    def u32(self) -> int:
        """An unsigned number of 32 bits."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """An unsigned number of 64 bits."""
        return int.from_bytes(self.take(8), "little")

    def text(self, most_bytes: int, what: str) -> str:
        """A string that must not be longer than ``most_bytes``, cleaned."""
        length = self.u64()
        if length > most_bytes:
            raise unsound(f"{what} of {length:,} bytes")
        return clean(self.take(length).decode("utf-8", "replace"))

    def start_of_text(self, most_bytes: int) -> str:
        """A string of any length, of which the first ``most_bytes`` are kept, cleaned."""
        length = self.u64()
        self.require(length)
        kept = self.take(min(length, most_bytes))
        self.skip(length - len(kept))
        return clean(kept.decode("utf-8", "replace"))

    def skip_strings(self, count: int) -> None:
        """Move over ``count`` strings without making any of them: a length and a jump each.

        A vocabulary has hundreds of thousands, so the loop asks nothing: it runs until a length
        lies outside the buffer, which the unpacking refuses.
        """
        length_at = _LENGTH.unpack_from
        while count > 0:
            self._fill(8)
            buffer, at = self._buffer, self._at
            left = count
            try:
                for left in range(count - 1, -1, -1):  # noqa: B007
                    at += 8 + length_at(buffer, at)[0]
            except (struct.error, OverflowError):
                left += 1
            count = left
            self.skip(at - self._at)
            self._sure_until = max(self._sure_until, self.offset + 8 * count)

    def _fill(self, count: int) -> None:
        """Have ``count`` bytes in the buffer."""
        if len(self._buffer) - self._at >= count:
            return
        self.require(count)
        rest = self._buffer[self._at :]
        self._base, self._at = self.offset, 0
        sure = min(self._sure_until - self._base, _LARGEST_SURE_READ)
        needed = max(count, sure) - len(rest)
        wanted = max(needed, self._read_bytes - len(rest))
        self._buffer = rest + self._source.read_at(self._base + len(rest), wanted, needed)
        self._read_bytes = min(self._read_bytes * 4, _LARGEST_READ)
        if len(self._buffer) < count:
            raise FormatError(
                "The file became shorter while it was read.", "Wait until nothing writes to it."
            )
