"""Finds the GGUF file inside a llamafile: a program with a zip archive at its end.

The archive's directory is read from the end of the file (PKWARE's ``APPNOTE.TXT``, 4.3): no more
than its few hundred bytes, and a few MiB at the very most. llamafile stores weights uncompressed,
so that they can be mapped; what is compressed is not looked into.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.cursor import unsound
from modeldeck.engines.formats.source import ByteSource

_END: Final = struct.Struct("<4s4H2LH")
_END_64_AT: Final = struct.Struct("<4sLQL")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_WIDE: Final = struct.Struct("<2H")

_MOST_TAIL_BYTES: Final = (1 << 16) + _END.size  # the archive's comment may have 64 KiB
_MOST_DIRECTORY_BYTES: Final = 4 << 20
_MOST_ENTRIES: Final = 65_535
_STORED: Final = 0
_IN_EXTRA: Final = 0xFFFFFFFF
_SUFFIX: Final = ".gguf"
_PROJECTOR: Final = "mmproj"


@dataclass(frozen=True, slots=True)
class Inside:
    """A part of a source, as a source of its own."""

    source: ByteSource
    offset: int
    size_bytes: int

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        """Up to ``count`` bytes from ``offset`` of the part."""
        count = min(count, self.size_bytes - offset)
        if count <= 0:
            return b""
        least = None if needed is None else min(needed, count)
        return self.source.read_at(self.offset + offset, count, least)


def gguf_inside(source: ByteSource) -> Inside:
    """The largest GGUF file in a llamafile that is no projector.

    Raises:
        FormatError: there is none, or the archive is not sound.
        OSError: it cannot be read.
    """
    found = [
        entry
        for entry in _entries(source, *_directory(source))
        if entry.name.lower().endswith(_SUFFIX) and _PROJECTOR not in entry.name.lower()
    ]
    if not found:
        raise FormatError(
            "There is no GGUF file in this llamafile.", "Run it by itself, or get another one."
        )
    entry = max(found, key=lambda one: one.size_bytes)
    if entry.method != _STORED:
        raise FormatError(
            "The GGUF file in this llamafile is compressed.", "Unzip it, and use the GGUF file."
        )
    local = source.read_at(entry.offset, _LOCAL.size)
    if len(local) < _LOCAL.size or local[:4] != b"PK\x03\x04":
        raise unsound("its archive does not lead to the weights")
    *_, name_bytes, extra_bytes = _LOCAL.unpack(local)
    begin = entry.offset + _LOCAL.size + name_bytes + extra_bytes
    if begin + entry.size_bytes > source.size_bytes:
        raise unsound("its archive ends behind the file's end")
    return Inside(source, begin, entry.size_bytes)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    method: int
    size_bytes: int
    offset: int


def _directory(source: ByteSource) -> tuple[int, int, int]:
    """Where the archive's directory lies, its length, and what offsets in it are counted from."""
    size = source.size_bytes
    tail_at = max(0, size - _MOST_TAIL_BYTES)
    tail = source.read_at(tail_at, _MOST_TAIL_BYTES)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise FormatError(
            "There is no archive at the end of this llamafile.",
            "Let the download finish, or download the file again.",
        )
    *_, length, offset, _ = _END.unpack_from(tail, at)
    end = tail_at + at
    wide = _wide_directory(source, end)
    if wide is not None:
        length, offset, end = wide
    base = end - length - offset
    if base < 0 or length > _MOST_DIRECTORY_BYTES:
        raise unsound("its archive has an absurd directory")
    return base + offset, length, base


def _wide_directory(source: ByteSource, end: int) -> tuple[int, int, int] | None:
    """Length, offset and end of the directory of an archive of more than 4 GiB; else None."""
    locator = source.read_at(max(0, end - _END_64_AT.size), _END_64_AT.size)
    if len(locator) < _END_64_AT.size or locator[:4] != b"PK\x06\x07":
        return None
    # The record stands right before its locator; where it says it does may be off by what lies
    # in front of the archive.
    at = end - _END_64_AT.size - _END_64.size
    record = source.read_at(at, _END_64.size) if at >= 0 else b""
    if len(record) < _END_64.size or record[:4] != b"PK\x06\x06":
        raise unsound("its archive has no end")
    *_, length, offset = _END_64.unpack(record)
    return length, offset, at


def _entries(source: ByteSource, at: int, length: int, base: int) -> Iterator[_Entry]:
    """The files of the archive."""
    directory = source.read_at(at, length)
    at = 0
    for _ in range(_MOST_ENTRIES):
        if len(directory) - at < _ENTRY.size or directory[at : at + 4] != b"PK\x01\x02":
            return
        fields = _ENTRY.unpack_from(directory, at)
        method, packed, size = fields[4], fields[8], fields[9]
        name_bytes, extra_bytes, note_bytes, offset = *fields[10:13], fields[16]
        at += _ENTRY.size
        name = directory[at : at + name_bytes].decode("utf-8", "replace")
        extra = directory[at + name_bytes : at + name_bytes + extra_bytes]
        at += name_bytes + extra_bytes + note_bytes
        size, _, offset = _wide_numbers(extra, (size, packed, offset))
        yield _Entry(name, method, size, base + offset)


def _wide_numbers(extra: bytes, numbers: tuple[int, int, int]) -> tuple[int, ...]:
    """Numbers that do not fit into 32 bits stand in the extra field 1, in this order."""
    at = 0
    while at + _WIDE.size <= len(extra):
        kind, length = _WIDE.unpack_from(extra, at)
        at += _WIDE.size
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{min(length, len(extra) - at) // 8}Q", extra, at))
            return tuple(next(wide, n) if n == _IN_EXTRA else n for n in numbers)
        at += length
    return numbers
