"""Any file may be called safetensors: the reader tells its tensors, or what is wrong with it."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.safetensors import BITS, SafeTensor, read_safetensors
from modeldeck.engines.formats.source import open_regular
from tests.fuzz.targets import Memory
from tests.support.safetensors_files import (
    Weight,
    llama_weights,
    packed,
    safetensors_header,
    write_safetensors,
)

SMALL = safetensors_header(llama_weights(1), {"format": "pt"})
DATA = sum(weight.size_bytes for weight in llama_weights(1))


class Holey:
    """A source whose weights are not there, however many there are; notes how far it was read."""

    def __init__(self, header: bytes, size_bytes: int) -> None:
        self._header = header
        self.size_bytes = size_bytes
        self.read_bytes = 0

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        """The header's bytes."""
        data = self._header[offset : offset + count]
        self.read_bytes = max(self.read_bytes, offset + len(data))
        return data


def read(header: bytes, data_bytes: int) -> list[SafeTensor]:
    return list(read_safetensors(Holey(header, len(header) + data_bytes)))


def one(**changes: object) -> bytes:
    """A header with one tensor of eight bytes, changed."""
    tensor: dict[str, object] = {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}
    return packed(json.dumps({"w": tensor | changes}).encode())


def test_a_file_tells_its_tensors(tmp_path: Path) -> None:
    weights = [*llama_weights(2), Weight("n", (), "F32"), Weight("empty", (0, 4), "I8")]
    path = write_safetensors(tmp_path / "model.safetensors", weights, {"format": "pt"})

    with open_regular(path) as source:
        tensors = list(read_safetensors(source))

    assert [(t.name, t.shape, t.dtype, t.size_bytes) for t in tensors] == [
        (w.name, w.shape, w.dtype, w.size_bytes) for w in weights
    ]
    assert tensors[-2].elements == 1


def test_the_weights_are_never_read() -> None:
    source = Holey(SMALL, len(SMALL) + DATA)
    list(read_safetensors(source))
    assert source.read_bytes == len(SMALL)


def test_a_header_cut_at_any_byte_is_refused() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(FormatError, match="not complete"):
            list(read_safetensors(Memory(SMALL[:length])))


def test_weights_that_end_too_early_are_told_by_their_bytes() -> None:
    with pytest.raises(FormatError, match="at least 5 bytes before the end of its weights"):
        read(SMALL, DATA - 5)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (packed(b"[1]"), "no JSON object"),
        (packed(b'{"w":1}'), "described by no object"),
        (packed(b'{"w" 1}'), "no JSON"),
        (packed(b'{"w":{}'), "no JSON"),
        (packed(b"{1:{}}"), "no text"),
        (packed(b'{"w":' + b"[" * 100_000 + b"}"), "deep|no JSON"),
        (packed(b'{"w":"' + b"x" * (5 << 20) + b'"}'), "more than"),
        (one(dtype="F17"), "unknown type"),
        (one(dtype=["F16"]), "unknown type"),
        (one(shape=[2, -2]), "absurd shape"),
        (one(shape=[True, 4]), "absurd shape"),
        (one(shape=[1] * 17), "absurd shape"),
        (one(shape=[1 << 40, 1 << 40]), "absurd shape"),
        (one(shape=10**400), "absurd shape"),
        (one(shape=[2, 3]), "another length"),
        (one(data_offsets=[8, 0]), "another length"),
        (one(data_offsets=[0]), "where it lies"),
        (one(data_offsets=None), "where it lies"),
        (one(data_offsets=[8, 16]), "gaps"),
        (b"GGUF" + bytes(4) + bytes(64), "no safetensors file"),
        ((1 << 62).to_bytes(8, "little") + bytes(64), "no safetensors file"),
        (bytes(64), "no safetensors file"),
    ],
)
def test_what_contradicts_itself_is_refused(header: bytes, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        read(header, 16)


def test_very_many_tensors_take_little_memory() -> None:
    count = 40_000
    row = b'"model.layers.0.mlp.experts.%d.w":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}'
    header = packed(b"{" + b",".join(row % (i, i, i + 1) for i in range(count)) + b"}")
    tracemalloc.start()
    try:
        found = sum(1 for _ in read_safetensors(Holey(header, len(header) + count)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < 2 << 20


@given(
    st.lists(
        st.builds(
            Weight,
            st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
            st.lists(st.integers(0, 9), max_size=4).map(lambda shape: (*shape, 8)),
            st.sampled_from(sorted(BITS)),
        ),
        unique_by=lambda weight: weight.name,
        max_size=30,
    )
)
def test_whatever_was_written_is_read_again(weights: list[Weight]) -> None:
    named = [weight for weight in weights if weight.name != "__metadata__"]
    data = sum(weight.size_bytes for weight in named)
    tensors = read(safetensors_header(named), data)
    assert [(t.name, t.shape, t.dtype) for t in tensors] == [
        (w.name, w.shape, w.dtype) for w in named
    ]
