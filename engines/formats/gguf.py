"""A streaming reader of GGUF headers.

Reads metadata and the tensor table, never a weight. Big tables (the vocabulary) are walked without
making Python objects of them. Layout: ggml ``docs/gguf.md``, versions 2 and 3, little endian; what
llama.cpp's own reader (``gguf.cpp``) refuses is refused here too, so that a model which cannot be
loaded says so in the list.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.cursor import Cursor, cut_short, unsound
from modeldeck.engines.formats.ggml_types import GGML_TYPES
from modeldeck.engines.formats.source import ByteSource
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import HParam

# Real files stay far below all of these; together they bound the memory a header can take.
_MAX_ENTRIES: Final = 4096
_MAX_TENSORS: Final = 16_384
_MAX_STRINGS: Final = 1 << 24
_MAX_NUMBERS: Final = 1 << 27
_MAX_KEY_BYTES: Final = 256
_MAX_NAME_BYTES: Final = 128
_MAX_DIMENSIONS: Final = 4
_LEAST_ROW_BYTES: Final = 24
_MAX_ELEMENTS: Final = (1 << 63) - 1
_MAX_ALIGNMENT: Final = 1 << 20
_ARRAY_KEPT: Final = 4096
_ELEMENTS_KEPT: Final = 1 << 16
_TEXT_KEPT_BYTES: Final = 1024

_MAGIC: Final = b"GGUF"
_BOOL, _STRING, _ARRAY = 7, 8, 9
_NUMBERS: Final[Mapping[int, struct.Struct]] = {
    kind: struct.Struct(f"<{letter}") for kind, letter in enumerate("BbHhIif")
} | {
    _BOOL: struct.Struct("<B"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}


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
        size_bytes: as stored; for an unknown type what lies before the next tensor.
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
    """The header of one GGUF file.

    Attributes:
        version: of the format.
        metadata: keys and values as in the file, cleaned: of a text the first 1024 bytes, of a
            long or a string array only its length.
        tensors: in the order of the file.
        data_offset: where weights begin.
        size_bytes: of the whole file.
    """

    version: int
    metadata: Mapping[str, MetadataValue]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Spans:
    """Where things stand in a header, in bytes from the start: first, and past the last.

    Attributes:
        entries: keys with their values.
        table: of tensors.
    """

    entries: Mapping[str, tuple[int, int]]
    table: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the tensor table as it stands there, checked by itself only."""

    name: str
    shape: tuple[int, ...]
    ggml_type: int
    offset: int


def read_gguf(source: ByteSource) -> GgufFile:
    """Read the header of a GGUF file.

    Raises:
        FormatError: it is no GGUF, of a version we do not know, cut short, or not sound.
        OSError: reading failed.
    """
    return read_with_spans(source)[0]


def read_with_spans(source: ByteSource) -> tuple[GgufFile, Spans]:
    """``read_gguf``, and where in the file it was read from. Raises the same."""
    cursor = Cursor(source)
    version = _version(cursor, source.size_bytes)
    tensor_count, entry_count = cursor.u64(), cursor.u64()
    cursor.require_items(tensor_count, _LEAST_ROW_BYTES, _MAX_TENSORS, "tensors")
    metadata, entries = _metadata(cursor, entry_count)
    table = cursor.offset
    rows = _table(cursor, tensor_count)
    alignment = metadata.get("general.alignment", 32)
    if (
        not isinstance(alignment, int)
        or isinstance(alignment, bool)
        or not 0 < alignment <= _MAX_ALIGNMENT
        or alignment & (alignment - 1)
    ):
        raise unsound("its alignment is no power of two")
    data_offset = -(-cursor.offset // alignment) * alignment
    tensors = _sized(rows, alignment, source.size_bytes - data_offset)
    file = GgufFile(version, metadata, tensors, data_offset, source.size_bytes)
    return file, Spans(entries, (table, cursor.offset))


def _version(cursor: Cursor, size_bytes: int) -> int:
    if size_bytes == 0:
        raise FormatError("The file is empty.", "Download the file again.")
    if cursor.take(min(4, size_bytes)) != _MAGIC[:size_bytes]:
        raise FormatError("The file is no GGUF file.", "Check where it came from.")
    version = cursor.u32()
    if version in (2, 3):
        return version
    if version & 0xFFFF == 0 and version:
        raise FormatError(
            "The file is a big-endian GGUF, for other machines than this one.",
            "Get the little-endian file of the model.",
        )
    if version == 1:
        raise FormatError(
            "The file is a GGUF of version 1, which engines no longer read.",
            "Get a newer conversion of the model.",
        )
    raise FormatError(
        f"The file is a GGUF of version {version}, which is not known here.", "Update modeldeck."
    )


def _metadata(
    cursor: Cursor, count: int
) -> tuple[dict[str, MetadataValue], dict[str, tuple[int, int]]]:
    cursor.require_items(count, 13, _MAX_ENTRIES, "metadata entries")
    metadata: dict[str, MetadataValue] = {}
    spans: dict[str, tuple[int, int]] = {}
    kept = _ELEMENTS_KEPT
    for _ in range(count):
        start = cursor.offset
        key = clean_line(cursor.text(_MAX_KEY_BYTES, "a key"), _MAX_KEY_BYTES)
        if key in metadata:
            raise unsound(f"the key {key} stands there twice")
        kind = cursor.u32()
        if kind == _STRING:
            metadata[key] = cursor.start_of_text(_TEXT_KEPT_BYTES)
        elif kind == _ARRAY:
            metadata[key] = array = _array(cursor, min(kept, _ARRAY_KEPT))
            kept -= len(array) if isinstance(array, tuple) else 0
        else:
            metadata[key] = _numbers(cursor, kind, 1)[0]
        spans[key] = start, cursor.offset
    return metadata, spans


def _array(
    cursor: Cursor, most_kept: int
) -> tuple[int, ...] | tuple[float, ...] | tuple[bool, ...] | ArrayInfo:
    kind, count = cursor.u32(), cursor.u64()
    if kind == _STRING:
        cursor.require_items(count, 8, _MAX_STRINGS, "strings in an array")
        cursor.skip_strings(count)
        return ArrayInfo(kind, count)
    if kind == _ARRAY:
        raise unsound("an array of arrays")
    width = _number(kind).size
    cursor.require_items(count, width, _MAX_NUMBERS, "numbers in an array")
    if count > most_kept:
        cursor.skip(count * width)
        return ArrayInfo(kind, count)
    return _numbers(cursor, kind, count)


def _number(kind: int) -> struct.Struct:
    number = _NUMBERS.get(kind)
    if number is None:
        raise unsound(f"a value of the unknown type {kind}")
    return number


def _numbers(
    cursor: Cursor, kind: int, count: int
) -> tuple[int, ...] | tuple[float, ...] | tuple[bool, ...]:
    number = _number(kind)
    data = cursor.take(count * number.size)
    if kind == _BOOL:
        return tuple(byte != 0 for byte in data)
    return struct.unpack(f"<{count}{number.format[1:]}", data)


def _table(cursor: Cursor, count: int) -> list[_Row]:
    cursor.require_items(count, _LEAST_ROW_BYTES, _MAX_TENSORS, "tensors")
    rows: list[_Row] = []
    names: set[str] = set()
    for _ in range(count):
        name = clean_line(cursor.text(_MAX_NAME_BYTES, "a tensor's name"), _MAX_NAME_BYTES)
        if name in names:
            raise unsound(f"the tensor {name} stands there twice")
        names.add(name)
        dimensions = cursor.u32()
        if dimensions > _MAX_DIMENSIONS:
            raise unsound(f"{name} has {dimensions} dimensions")
        shape = struct.unpack(f"<{dimensions}Q", cursor.take(8 * dimensions)) or (1,)
        if 0 in shape or math.prod(shape) > _MAX_ELEMENTS:
            raise unsound(f"{name} has an impossible shape")
        rows.append(_Row(name, shape, cursor.u32(), cursor.u64()))
    return rows


def _sized(rows: Sequence[_Row], alignment: int, data_bytes: int) -> tuple[TensorInfo, ...]:
    """The table with sizes, held against each other and against the length of the data."""
    ordered = sorted(rows, key=lambda row: row.offset)
    ends = {row.name: after.offset for row, after in pairwise(ordered)}
    last_byte = 0
    sizes: dict[str, int] = {}
    for row in ordered:
        if row.offset % alignment:
            raise unsound(f"{row.name} does not lie on a multiple of {alignment}")
        if row.offset < last_byte:
            raise unsound(f"{row.name} overlaps another tensor")
        end = ends.get(row.name, max(row.offset, data_bytes))
        sizes[row.name] = size = _size(row, end)
        last_byte = row.offset + size
    if last_byte > max(0, data_bytes):
        raise cut_short(last_byte - data_bytes, "its weights")
    return tuple(
        TensorInfo(row.name, row.shape, row.ggml_type, row.offset, sizes[row.name]) for row in rows
    )


def _size(row: _Row, end: int) -> int:
    packing = GGML_TYPES.get(row.ggml_type)
    if packing is None:
        return end - row.offset
    row_blocks, odd = divmod(row.shape[0], packing.block_elements)
    if odd:
        raise unsound(f"the rows of {row.name} are no whole blocks of {packing.name}")
    return row_blocks * packing.block_bytes * math.prod(row.shape[1:])
