"""Any file may be handed to the reader: it tells what is in it, or says what is wrong."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.gguf import ArrayInfo, GgufFile, read_gguf
from modeldeck.engines.formats.source import open_regular
from tests.support.gguf_files import (
    ALIGNMENT,
    ARRAY,
    F16,
    F32,
    Q4_K,
    STRING,
    U32,
    Tensor,
    Value,
    header_bytes,
    llama_metadata,
    llama_tensors,
    packed_string,
    write_gguf,
    write_llama,
)

SMALL = header_bytes(
    {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.windows": [True, False],
        "tokenizer.ggml.tokens": ["a", "bc", ""],
        "tokenizer.ggml.scores": [0.5, -1.0, 2.0],
    },
    [Tensor("token_embd.weight", (8, 3), F16), Tensor("output_norm.weight", (8,), F32)],
)
SMALL_DATA = 64 + 32


class Bytes:
    """A source in memory that notes what it was asked for."""

    def __init__(self, data: bytes, size_bytes: int | None = None) -> None:
        self._file = io.BytesIO(data)
        self.size_bytes = len(data) if size_bytes is None else size_bytes
        self.last_byte_read = 0

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        self._file.seek(offset)
        data = self._file.read(min(count, max(0, self.size_bytes - offset)))
        self.last_byte_read = max(self.last_byte_read, offset + len(data))
        return data


class Endless(Bytes):
    """A source that goes on with zeros after its data, as a file with a hole does."""

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        return super().read_at(offset, count).ljust(count, b"\0")


def read(data: bytes, size_bytes: int | None = None) -> GgufFile:
    return read_gguf(Bytes(data, size_bytes))


def read_path(path: Path) -> GgufFile:
    with open_regular(path) as source:
        return read_gguf(source)


def refusal(data: bytes) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read(data)
    assert caught.value.cause.endswith(".")
    assert caught.value.next_step.endswith(".")
    return caught.value


def real_file(path: Path) -> Path:
    """A file as converters write it: every type of value, and several types of tensor."""
    writer: Any = gguf.GGUFWriter(str(path), "qwen3moe")
    writer.add_name("Grüße, Модель 模型")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_custom_alignment(64)
    writer.add_uint8("test.u8", 200)
    writer.add_int8("test.i8", -7)
    writer.add_uint16("test.u16", 60000)
    writer.add_int16("test.i16", -300)
    writer.add_uint32("test.u32", 4_000_000_000)
    writer.add_int32("test.i32", -5)
    writer.add_uint64("test.u64", 1 << 60)
    writer.add_int64("test.i64", -(1 << 60))
    writer.add_float32("test.f32", 0.25)
    writer.add_float64("test.f64", math.pi)
    writer.add_bool("test.bool", True)
    writer.add_array("test.layers", [4, 0, 4])
    writer.add_array("test.ratios", [0.5, 2.0])
    writer.add_array("test.windows", [True, False])
    writer.add_token_list([f"<{number}>" * (number % 40) for number in range(5000)])
    writer.add_token_scores([0.5] * 5000)
    writer.add_chat_template("{% for message in messages %}" * 200)
    ones = np.ones((64, 256), dtype=np.float32)
    writer.add_tensor("token_embd.weight", ones.astype(np.float16))
    for kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0):
        data = gguf.quants.quantize(ones, kind)
        writer.add_tensor(f"blk.0.attn_{kind.name}.weight", data, raw_dtype=kind)
    experts = np.ones((3, 5, 32), dtype=np.float32)
    writer.add_tensor("blk.0.ffn_up_exps.weight", experts)
    writer.add_tensor("output_norm.weight", ones[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_it_reads_what_the_reference_reader_reads(tmp_path: Path) -> None:
    path = real_file(tmp_path / "model.gguf")
    reference: Any = gguf.GGUFReader(str(path))

    found = read_path(path)

    assert [(t.name, t.shape, t.ggml_type, t.size_bytes) for t in found.tensors] == [
        (t.name, tuple(int(n) for n in t.shape), int(t.tensor_type), int(t.n_bytes))
        for t in reference.tensors
    ]
    starts = [found.data_offset + tensor.offset for tensor in found.tensors]
    assert starts == [int(tensor.data_offset) for tensor in reference.tensors]
    assert found.data_offset % 64 == 0
    assert found.version == 3
    assert found.size_bytes == path.stat().st_size
    for key, field in reference.fields.items():
        if key.startswith("GGUF."):
            continue
        value, theirs = found.metadata[key], field.contents()
        if isinstance(value, ArrayInfo):
            assert value.length == len(theirs)
        elif isinstance(value, tuple):
            assert list(value) == theirs
        elif key == "tokenizer.chat_template":
            assert value == theirs[:1024]
        else:
            assert value == theirs
            assert type(value) is type(theirs)
    assert found.metadata["general.name"] == "Grüße, Модель 模型"
    assert found.metadata["test.windows"] == (True, False)
    assert found.metadata["tokenizer.ggml.tokens"] == ArrayInfo(STRING, 5000)


def test_version_2_is_read_as_well() -> None:
    old = header_bytes({"general.architecture": "llama"}, version=2)

    assert read(old).version == 2


def test_weights_are_never_read() -> None:
    tensors = llama_tensors(blocks=1, embedding=4096, tokens=32_000, feed_forward=14_336)
    header = header_bytes(llama_metadata(), tensors)
    weights = sum(tensor.size_bytes for tensor in tensors)
    source = Bytes(header, len(header) + weights)

    assert len(read_gguf(source).tensors) == len(tensors)
    assert source.last_byte_read <= len(header)


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_a_header_cut_at_any_byte_is_refused(length: int) -> None:
    error = refusal(SMALL[:length])

    expected = "empty" if length == 0 else "The download is not complete"
    assert expected in error.cause


def test_missing_weights_are_counted() -> None:
    whole = len(SMALL) + SMALL_DATA

    assert len(read(SMALL, whole).tensors) == 2
    with pytest.raises(FormatError, match=r"not complete.* 20 bytes .*weights"):
        read(SMALL, whole - 20)
    with pytest.raises(FormatError, match=r"not complete.* 96 bytes .*weights"):
        read(SMALL)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 this is a zip", "no GGUF"),
        (b"\0" * 4096, "no GGUF"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(64), "version 1"),
        (b"GGUF" + struct.pack("<I", 99) + bytes(64), "version 99"),
        (b"GGUF" + struct.pack("<I", 0) + bytes(64), "version 0"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(64), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 63) + bytes(64), "metadata entries"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 63, 0) + bytes(64), "tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62) + b"x" * 64, "a key"),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, words: str) -> None:
    assert words in refusal(data).cause


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (struct.pack("<I", 13) + bytes(32), "unknown type 13"),
        (struct.pack("<IQ", STRING, (1 << 64) - 1), "18,446,744,073,709,551,"),
        (struct.pack("<IQ", STRING, 5000), "not complete"),
        (struct.pack("<IIQ", ARRAY, ARRAY, 1) + bytes(64), "array of arrays"),
        (struct.pack("<IIQ", ARRAY, 77, 1) + bytes(64), "unknown type 77"),
        (struct.pack("<IIQ", ARRAY, STRING, 1 << 62), "strings in an array"),
        (struct.pack("<IIQ", ARRAY, STRING, 1000), "not complete"),
        (struct.pack("<IIQ", ARRAY, STRING, 2) + packed_string("a") + b"\xff" * 8, "not sound"),
        (struct.pack("<IIQ", ARRAY, U32, 1 << 62), "numbers in an array"),
        (struct.pack("<IIQ", ARRAY, U32, 1000), "not complete"),
    ],
)
def test_no_length_in_the_metadata_is_believed(value: bytes, words: str) -> None:
    assert words in refusal(header_bytes({"some.key": value})).cause


def table(name: str, shape: tuple[int, ...], ggml_type: int, offset: int) -> bytes:
    return (
        packed_string(name)
        + struct.pack("<I", len(shape))
        + struct.pack(f"<{len(shape)}Q", *shape)
        + struct.pack("<IQ", ggml_type, offset)
    )


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([table("a", (1,) * 5, F32, 0)], "5 dimensions"),
        ([table("a", (8, 0), F32, 0)], "impossible shape"),
        ([table("a", (1 << 62, 1 << 62, 1 << 62, 1 << 62), F32, 0)], "impossible shape"),
        ([table("a", (1 << 40,), F32, 0)], "not complete"),
        ([table("a", (100,), Q4_K, 0)], "whole blocks of Q4_K"),
        ([table("a", (8,), F32, 8)], "multiple of 32"),
        ([table("a", (8,), F32, 1 << 63)], "not complete"),
        ([table("a", (16,), F32, 0), table("b", (8,), F32, 32)], "overlaps"),
        ([table("a", (8,), F32, 0), table("b", (8,), F32, 0)], "overlaps"),
        ([table("a", (8,), F32, 0), table("a", (8,), F32, 32)], "twice"),
        ([table("a" * 5000, (8,), F32, 0)], "a tensor's name"),
    ],
)
def test_a_tensor_table_that_cannot_be_is_refused(rows: list[bytes], words: str) -> None:
    data = b"GGUF" + struct.pack("<IQQ", 3, len(rows), 0) + b"".join(rows)

    assert words in refusal(data + bytes(ALIGNMENT * 8)).cause


@pytest.mark.parametrize("alignment", [0, 3, 48, 1 << 30, -32, "32", 32.0, True])
def test_an_alignment_that_cannot_be_is_refused(alignment: Value) -> None:
    data = header_bytes({"general.alignment": alignment}) + bytes(4096)

    assert "alignment" in refusal(data).cause


def test_a_key_that_stands_there_twice_is_refused() -> None:
    entry = packed_string("a.b") + struct.pack("<II", U32, 1)

    error = refusal(b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + entry * 2 + bytes(64))

    assert "twice" in error.cause


def test_the_bytes_of_an_unknown_type_are_what_lies_before_the_next_tensor() -> None:
    rows = (
        table("new", (64,), 200, 0) + table("known", (8,), F32, 96) + table("last", (9,), 201, 128)
    )
    data = b"GGUF" + struct.pack("<IQQ", 3, 3, 0) + rows
    data += bytes(-len(data) % ALIGNMENT) + bytes(128 + 50)

    assert [tensor.size_bytes for tensor in read(data).tensors] == [96, 32, 50]


def test_hostile_text_is_harmless_once_read() -> None:
    evil = "ok\x1b]0;owned\x07[red]\u202e\x9b31m"
    raw = packed_string(b"bytes\xff\xfe\x80")
    data = header_bytes(
        {f"general.{evil}": evil, "general.raw": struct.pack("<I", STRING) + raw},
        [Tensor(evil, (8,), F32)],
    ) + bytes(32)

    found = read(data)

    assert found.metadata["general.ok]0;owned[red]31m"] == "ok]0;owned[red]31m"
    assert found.metadata["general.raw"] == "bytes\ufffd\ufffd\ufffd"
    assert found.tensors[0].name == "ok]0;owned[red]31m"


def test_a_file_that_shrinks_while_it_is_read_is_an_error() -> None:
    with pytest.raises(FormatError, match="shorter while it was read"):
        read(SMALL[:100], len(SMALL) + SMALL_DATA)


def test_a_vocabulary_is_walked_whatever_the_length_of_its_tokens() -> None:
    tokens = [
        "",
        "x" * 100_000,
        "short",
        "y" * 3_000_000,
        *("z" * (n % 300) for n in range(20_000)),
    ]
    data = header_bytes({"before": 1, "tokenizer.ggml.tokens": tokens, "after": "here"})

    metadata = read(data).metadata

    assert metadata["tokenizer.ggml.tokens"] == ArrayInfo(STRING, len(tokens))
    assert (metadata["before"], metadata["after"]) == (1, "here")


def peak_bytes(data: bytes, size_bytes: int | None = None) -> int:
    tracemalloc.start()
    try:
        read(data, size_bytes)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_big_vocabulary_takes_little_memory() -> None:
    tokens = [f"token {number}" for number in range(150_000)]
    data = header_bytes({"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": [1.0] * 150_000})

    assert peak_bytes(data) < 8 << 20


def test_the_largest_header_that_is_believed_takes_less_than_32_megabytes() -> None:
    metadata: dict[str, Value] = {
        "k" * 200 + str(number): struct.pack("<I", STRING) + packed_string(b"\xff" * 1024)
        for number in range(4000)
    }
    metadata |= {f"array{number}": [3_000_000_000] * 4096 for number in range(96)}
    tensors = [Tensor("t" * 120 + str(number), (257, 1, 1, 1), F32) for number in range(16_384)]
    data = header_bytes(metadata, tensors)

    assert peak_bytes(data, len(data) + 16_384 * 1056) < 32 << 20


def test_a_header_that_does_not_end_is_left_early() -> None:
    strings = struct.pack("<IIQ", ARRAY, STRING, 1 << 24)
    rest = bytes(packed_string("x" * 1000)) * 1000
    source = Endless(header_bytes({"a": 1, "long": strings}) + rest, 1 << 45)

    with pytest.raises(FormatError, match="longer than 128 MiB"):
        read_gguf(source)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    for start in (b"", b"GGUF", SMALL[:24], SMALL[:80]):
        with contextlib.suppress(FormatError):
            read(start + data)


@given(st.data())
def test_a_damaged_header_is_read_or_refused_in_bounded_memory(data: st.DataObject) -> None:
    changed = bytearray(SMALL + bytes(SMALL_DATA))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(SMALL) - 1))
        new = data.draw(
            st.one_of(st.binary(min_size=1, max_size=9), st.just(b"\xff" * 8), st.just(bytes(8)))
        )
        changed[at : at + len(new)] = new

    tracemalloc.start()
    try:
        with contextlib.suppress(FormatError):
            read(bytes(changed))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20


def test_a_file_larger_than_this_disk_is_read_like_a_small_one(tmp_path: Path) -> None:
    path = write_gguf(
        tmp_path / "huge.gguf",
        llama_metadata(),
        llama_tensors(blocks=80, embedding=8192, feed_forward=28_672, heads=64, kv_heads=8),
    )

    assert read_path(path).size_bytes > 100 << 30
    assert len(read_path(write_llama(tmp_path / "small.gguf")).tensors) == 21
