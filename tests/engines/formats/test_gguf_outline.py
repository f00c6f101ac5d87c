"""Outlines: all that sizes a model, and nothing of its vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.gguf import read_gguf, read_with_spans
from modeldeck.engines.formats.gguf_outline import (
    Outline,
    Recorded,
    outline_in,
    outline_of,
    write_outlines,
)
from modeldeck.engines.formats.header import header_of
from modeldeck.engines.formats.source import open_regular
from tests.support.gguf_files import Value, llama_metadata, llama_tensors, small_gguf, write_gguf


class Held:
    """Bytes in memory."""

    def __init__(self, data: bytes, size_bytes: int | None = None) -> None:
        self._data = data
        self.size_bytes = len(data) if size_bytes is None else size_bytes

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        return self._data[offset : offset + count]


def outlined(path: Path) -> Outline:
    with open_regular(path) as source:
        return outline_in(source)


def test_it_has_the_tensors_and_the_numbers_and_no_vocabulary(tmp_path: Path) -> None:
    metadata: dict[str, Value] = {
        **llama_metadata(tokens=50_000),
        "tokenizer.ggml.merges": [f"a{number} b" for number in range(20_000)],
        "tokenizer.ggml.token_type_count": 2,
        "general.alignment": 64,
    }
    path = write_gguf(tmp_path / "m.gguf", metadata, llama_tensors(tokens=50_000))
    outline = outlined(path)
    assert len(outline.header) < 4096
    with open_regular(path) as source:
        whole = read_gguf(source)
    file = read_gguf(Held(outline.header, outline.size_bytes))
    assert file.tensors == whole.tensors
    assert file.size_bytes - file.data_offset == whole.size_bytes - whole.data_offset
    gone = {"tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.chat_template"}
    made = {"tokenizer.ggml.model": "none", "llama.vocab_size": 50_000}
    kept = {key: value for key, value in whole.metadata.items() if key not in gone}
    assert file.metadata == kept | made
    assert header_of([file]).weights == header_of([whole]).weights


def test_the_number_of_tokens_stands_above_a_vocab_size_of_the_file(tmp_path: Path) -> None:
    metadata: dict[str, Value] = {**llama_metadata(tokens=300), "llama.vocab_size": 299}
    outline = outlined(write_gguf(tmp_path / "m.gguf", metadata, llama_tensors(tokens=300)))
    assert read_gguf(Held(*outline)).metadata["llama.vocab_size"] == 300


def test_a_part_without_a_vocabulary_stays_as_it_is(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", {"split.no": 1}, llama_tensors())
    assert read_gguf(Held(*outlined(path))).metadata == {
        "split.no": 1,
        "tokenizer.ggml.model": "none",
    }


def test_what_was_read_is_not_read_again() -> None:
    data = small_gguf()
    recorded = Recorded(Held(data))
    file, spans = read_with_spans(recorded)
    assert outline_of(file, spans, recorded.again) == outline_in(Held(data))


def test_files_are_written_as_parts_of_one(tmp_path: Path) -> None:
    first = write_outlines([Outline(b"one", 1 << 30), Outline(b"two", 3)], tmp_path)
    assert first.name == "outline-00001-of-00002.gguf"
    assert first.stat().st_size == 1 << 30
    assert (tmp_path / "outline-00002-of-00002.gguf").read_bytes() == b"two"


@given(st.integers(0, len(small_gguf()) - 1))
def test_a_header_that_is_cut_short_has_none(length: int) -> None:
    data = small_gguf()
    try:
        outline_in(Held(data[:length]))
    except FormatError:
        return
    pytest.fail("it had one")
