"""Reads the header of a safetensors file: names, types, shapes and places of its tensors.

The format: eight bytes with the length of a JSON object, that object, then the weights without a
gap (the safetensors README, "Format"). Only the object is read, piece by piece; the weights never.
Nothing that it says is believed: each tensor is held against its type and shape, and all of them
against the length of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Final, NamedTuple, cast

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.cursor import cut_short, unsound
from modeldeck.engines.formats.json_text import Members
from modeldeck.engines.formats.source import ByteSource
from modeldeck.engines.text import clean_line

MAX_HEADER_BYTES: Final = 100_000_000
"""The format's own limit (``MAX_HEADER_SIZE`` in ``tensor.rs``)."""

MAX_TENSORS: Final = 1_000_000
"""Tensors of one file; the models with most have some 100,000 over all their files."""

BITS: Final[Mapping[str, int]] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}
"""Bits of one element by the name of its type (``Dtype`` in ``tensor.rs``)."""

_LENGTH_BYTES: Final = 8
_MOST_MEMBER_BYTES: Final = 4 << 20  # the longest are the notes of a training, in __metadata__
_MOST_DIMENSIONS: Final = 16
_LARGEST: Final = 1 << 48
_METADATA: Final = "__metadata__"


class SafeTensor(NamedTuple):
    """One tensor of a file. A tuple, because a model may have 100,000 of them.

    Attributes:
        name: as in the file; to be cleaned before it is shown.
        dtype: the name of its type, a key of ``BITS``.
        shape: dimensions, the slowest first.
        size_bytes: of its weights.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int

    @property
    def elements(self) -> int:
        """How many numbers it has, as stored: packed ones count as the one that holds them."""
        return prod(self.shape)


def read_safetensors(source: ByteSource) -> Iterator[SafeTensor]:
    """The tensors of one file, in the order of its header.

    That the file is whole is known only when the last one was taken.

    Raises:
        FormatError: it is no sound safetensors file, or it is cut short.
        OSError: it cannot be read.
    """
    header_bytes = _header_bytes(source)
    begin = _LENGTH_BYTES + header_bytes
    count = total = furthest = 0
    for name, value in Members(source, _LENGTH_BYTES, header_bytes, _MOST_MEMBER_BYTES):
        if name == _METADATA:
            continue
        count += 1
        if count > MAX_TENSORS:
            raise unsound(f"more than {MAX_TENSORS:,} tensors")
        tensor, end = _tensor(name, value)
        total += tensor.size_bytes
        furthest = max(furthest, end)
        yield tensor
    missing = begin + furthest - source.size_bytes
    if missing > 0:
        raise cut_short(missing, "its weights")
    if total != furthest:
        raise unsound("its tensors overlap or leave gaps")


def _header_bytes(source: ByteSource) -> int:
    """Length of the JSON object."""
    first = source.read_at(0, _LENGTH_BYTES)
    if len(first) < _LENGTH_BYTES:
        raise cut_short(_LENGTH_BYTES - len(first))
    length = int.from_bytes(first, "little")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise FormatError(
            f"The file is no safetensors file: a header of {length:,} bytes.",
            "Download the file again.",
        )
    missing = _LENGTH_BYTES + length - source.size_bytes
    if missing > 0:
        raise cut_short(missing)
    return length


def _tensor(name: str, value: object) -> tuple[SafeTensor, int]:
    """A tensor, and where it ends."""
    known = clean_line(name, 80)
    if not isinstance(value, dict):
        raise unsound(f"{known} is described by no object")
    record = cast("dict[str, object]", value)
    dtype = record.get("dtype")
    bits = BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None or not isinstance(dtype, str):
        raise unsound(f"{known} has an unknown type")
    shape = whole_numbers(record.get("shape"), _MOST_DIMENSIONS)
    elements = _product(shape) if shape is not None else None
    if shape is None or elements is None:
        raise unsound(f"{known} has an absurd shape")
    offsets = whole_numbers(record.get("data_offsets"), 2)
    if offsets is None or len(offsets) != 2:
        raise unsound(f"{known} does not say where it lies")
    begin, end = offsets
    if elements * bits != (end - begin) * 8:
        raise unsound(f"{known} has another length than its shape")
    return SafeTensor(name, dtype, shape, end - begin), end


def _product(shape: tuple[int, ...]) -> int | None:
    """Elements of a shape, None for more than any file can hold."""
    elements = 1
    for length in shape:
        elements *= length
        if elements > _LARGEST:
            return None
    return elements


def whole_numbers(value: object, most: int) -> tuple[int, ...] | None:
    """Up to ``most`` numbers from 0 to 2^48; None for anything else."""
    if not isinstance(value, list):
        return None
    items = cast("list[object]", value)
    numbers = tuple(
        item
        for item in items[: most + 1]
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= _LARGEST
    )
    return numbers if len(numbers) == len(items) <= most else None
