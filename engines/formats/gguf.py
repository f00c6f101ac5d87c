"""A streaming reader of GGUF headers.

Reads metadata and the tensor table, never a weight, and trusts no count: every length is checked
against what is left of the file before anything is made from it. Big tables (the vocabulary) are
walked without making Python objects of them. Layout: ggml ``docs/gguf.md``, versions 2 and 3,
little endian.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.ggml_types import GGML_TYPES
from modeldeck.engines.formats.source import ByteSource
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import HParam

_MAGIC: Final = b"GGUF"
_CHUNK: Final = 1 << 20
_NAME_LIMIT: Final = 256
_TEXT_KEPT: Final = 1024
_ARRAY_KEPT: Final = 4096
_ELEMENTS_KEPT: Final = 1 << 18
_MAX_ENTRIES: Final = 16_384
_MAX_TENSORS: Final = 65_536
_MAX_DIMS: Final = 4
_MAX_ELEMENTS: Final = 1 << 62
_STRING, _ARRAY, _BOOL = 8, 9, 7
_FORMATS: Final[Mapping[int, str]] = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_WIDTHS: Final = {kind: struct.calcsize("<" + letter) for kind, letter in _FORMATS.items()}


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """An array that was walked but not kept: its element type (GGUF's number) and its length."""

    element_type: int
    length: int


MetadataValue = HParam | ArrayInfo


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One row of the tensor table.

    Attributes:
        name: cleaned.
        shape: ``ne0, ne1, …``: the row length first, as ggml has it.
        ggml_type: number of the type.
        offset: from the start of the data section.
        size_bytes: as stored; for an unknown type derived from the next tensor's offset.
    """

    name: str
    shape: tuple[int, ...]
    ggml_type: int
    offset: int
    size_bytes: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GgufFile:
    """The header of one GGUF file. ``data_offset`` is where weights begin."""

    version: int
    metadata: Mapping[str, MetadataValue]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    size_bytes: int


def _bad(what: str) -> FormatError:
    return FormatError(f"Not a sound GGUF file: {what}.", "Download the file again.")


class _Cursor:
    """Reads forward through a source in chunks; never past its end."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._size = source.size_bytes
        self._base = 0
        self._buffer = b""
        self._at = 0
        self.elements_kept = 0

    @property
    def offset(self) -> int:
        return self._base + self._at

    @property
    def left(self) -> int:
        return self._size - self.offset

    def need(self, count: int) -> None:
        """Have ``count`` bytes in the buffer. Raises FormatError when the file has not so many."""
        if len(self._buffer) - self._at >= count:
            return
        if count > self.left:
            missing = count - self.left
            raise FormatError(
                f"The file is cut short: its header needs at least {missing} bytes more.",
                "The download is not complete; download the file again.",
            )
        rest = self._buffer[self._at :]
        self._base += self._at
        self._at = 0
        wanted = max(count, _CHUNK) - len(rest)
        more = self._source.read_at(self._base + len(rest), wanted)
        self._buffer = rest + more
        if len(self._buffer) < count:
            raise FormatError(
                "The file shrank while it was read.", "Wait until nothing writes to it."
            )

    def take(self, count: int) -> bytes:
        self.need(count)
        data = self._buffer[self._at : self._at + count]
        self._at += count
        return data

    def skip(self, count: int) -> None:
        if count > self.left:
            self.need(count)
        kept = len(self._buffer) - self._at
        if count <= kept:
            self._at += count
        else:
            self._base = self.offset + count
            self._buffer, self._at = b"", 0

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def text(self, limit: int) -> str:
        length = self.u64()
        if length > limit:
            raise _bad(f"a name of {length} bytes")
        return self.take(length).decode("utf-8", "replace")

    def long_text(self) -> str:
        """A string value: its first 1024 bytes."""
        length = self.u64()
        if length > self.left:
            self.need(length)
        kept = self.take(min(length, _TEXT_KEPT))
        self.skip(length - len(kept))
        return kept.decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """Walk over ``count`` strings without making any: one length and one jump each."""
        if count * 8 > self.left:
            raise _bad(f"an array of {count} strings in {self.left} bytes")
        from_bytes = int.from_bytes
        done = 0
        while done < count:
            self.need(8)
            buffer, at, end = self._buffer, self._at, len(self._buffer) - 8
            while done < count and at <= end:
                at += 8 + from_bytes(buffer[at : at + 8], "little")
                done += 1
            over = at - len(buffer)
            if over > 0:
                self._at = len(buffer)
                self.skip(over)
            else:
                self._at = at


def read_gguf(source: ByteSource) -> GgufFile:
    """Read the header of a GGUF file.

    Raises:
        FormatError: it is no GGUF, of a version we do not know, cut short, or inconsistent.
        OSError: reading failed.
    """
    cursor = _Cursor(source)
    if source.size_bytes == 0:
        raise FormatError("The file is empty.", "Download the file again.")
    if cursor.take(min(4, source.size_bytes)) != _MAGIC:
        raise FormatError("This is not a GGUF file.", "Check where the file came from.")
    version = cursor.u32()
    if version not in (2, 3):
        raise _version(version)
    tensor_count, entry_count = cursor.u64(), cursor.u64()
    if entry_count > _MAX_ENTRIES or entry_count * 13 > cursor.left:
        raise _bad(f"{entry_count} metadata entries in {cursor.left} bytes")
    metadata: dict[str, MetadataValue] = {}
    for _ in range(entry_count):
        key = clean_line(cursor.text(_NAME_LIMIT))
        metadata[key] = _value(cursor, cursor.u32())
    if tensor_count > _MAX_TENSORS or tensor_count * 24 > cursor.left:
        raise _bad(f"{tensor_count} tensors in {cursor.left} bytes")
    raw = [_tensor(cursor) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
        raise _bad("an impossible alignment")
    data_offset = -(-cursor.offset // alignment) * alignment
    tensors = _sized(raw, source.size_bytes - data_offset)
    return GgufFile(version, metadata, tensors, data_offset, source.size_bytes)


def _version(version: int) -> FormatError:
    if version in (0x02000000, 0x03000000):
        return FormatError("This GGUF file is big endian.", "Convert it to little endian.")
    if version == 1:
        return FormatError(
            "This GGUF file is of version 1, which engines no longer read.",
            "Get a newer conversion of the model.",
        )
    return FormatError(
        f"This GGUF file is of version {version}, which is not known here.", "Update modeldeck."
    )


def _value(cursor: _Cursor, kind: int) -> MetadataValue:
    if kind == _STRING:
        return cursor.long_text()
    if kind == _ARRAY:
        return _array(cursor)
    letter = _FORMATS.get(kind)
    if letter is None:
        raise _bad(f"a value of unknown type {kind}")
    return _number(kind, cursor.take(_WIDTHS[kind]))


def _number(kind: int, data: bytes) -> int | float | bool:
    if kind == _BOOL:
        return data != b"\x00"
    number: int | float = struct.unpack("<" + _FORMATS[kind], data)[0]
    return number


def _array(cursor: _Cursor) -> MetadataValue:
    kind, count = cursor.u32(), cursor.u64()
    if kind == _ARRAY:
        raise _bad("an array of arrays")
    if kind == _STRING:
        cursor.skip_strings(count)
        return ArrayInfo(kind, count)
    width = _WIDTHS.get(kind)
    if width is None:
        raise _bad(f"an array of unknown type {kind}")
    if count * width > cursor.left:
        raise _bad(f"an array of {count} numbers in {cursor.left} bytes")
    cursor.elements_kept += count
    if count > _ARRAY_KEPT or cursor.elements_kept > _ELEMENTS_KEPT:
        cursor.skip(count * width)
        return ArrayInfo(kind, count)
    data = cursor.take(count * width)
    if kind == _BOOL:
        return tuple(byte != 0 for byte in data)
    return tuple(struct.unpack(f"<{count}{_FORMATS[kind]}", data))


def _tensor(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name = clean_line(cursor.text(_NAME_LIMIT))
    dimensions = cursor.u32()
    if not 0 < dimensions <= _MAX_DIMS:
        raise _bad(f"a tensor of {dimensions} dimensions")
    shape = struct.unpack(f"<{dimensions}Q", cursor.take(8 * dimensions))
    if any(length == 0 for length in shape) or math.prod(shape) > _MAX_ELEMENTS:
        raise _bad(f"a tensor of impossible shape ({name})")
    return name, shape, cursor.u32(), cursor.u64()


def _sized(
    raw: list[tuple[str, tuple[int, ...], int, int]], data_bytes: int
) -> tuple[TensorInfo, ...]:
    """Sizes for the tensor table, checked against the data section's length."""
    ends = _next_offsets([offset for *_, offset in raw], data_bytes)
    tensors: list[TensorInfo] = []
    last_byte = 0
    for name, shape, number, offset in raw:
        packing = GGML_TYPES.get(number)
        if packing is None:
            size = ends[offset] - offset
        else:
            row_blocks, odd = divmod(shape[0], packing.block_elements)
            if odd:
                raise _bad(f"a tensor whose rows are no whole blocks ({name})")
            size = row_blocks * packing.block_bytes * math.prod(shape[1:])
        last_byte = max(last_byte, offset + max(0, size))
        tensors.append(TensorInfo(name, shape, number, offset, max(0, size)))
    if last_byte > data_bytes:
        missing = last_byte - max(0, data_bytes)
        raise FormatError(
            f"The file is cut short: {missing} bytes of its weights are missing.",
            "The download is not complete; download the file again.",
        )
    return tuple(tensors)


def _next_offsets(offsets: list[int], data_bytes: int) -> dict[int, int]:
    ordered = sorted(set(offsets))
    return dict(zip(ordered, [*ordered[1:], max(0, data_bytes)], strict=False))
