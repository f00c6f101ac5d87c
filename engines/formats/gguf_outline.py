"""The outline of a GGUF file: a small file of the same shape, without vocabulary and weights.

llama.cpp sizes it as it sizes the whole. What it needs is the tensor table and the numbers of the
model, and of the vocabulary only how many tokens it has: with a tokenizer called ``none`` it takes
their number from ``vocab_size`` (``llama-vocab.cpp``). Reading hundreds of thousands of tokens is
most of the time of a dry run.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.formats.gguf import ArrayInfo, GgufFile, Spans, read_with_spans
from modeldeck.engines.formats.source import ByteSource

_U32: Final = 4
_STRING: Final = 8
_VOCABULARY: Final = "tokenizer."
_TOKENS: Final = "tokenizer.ggml.tokens"
_DEFAULT_ALIGNMENT: Final = 32

ReadAt = Callable[[int, int], bytes]


class Outline(NamedTuple):
    """A header, and the length of the file that it is the start of; the rest is never read."""

    header: bytes
    size_bytes: int


class Recorded:
    """A source whose bytes are kept as they are read, so that none is asked for twice."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._data = bytearray()

    @property
    def size_bytes(self) -> int:
        """Length of the whole."""
        return self._source.size_bytes

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        """See ``ByteSource``."""
        found = self._source.read_at(offset, count, needed)
        self._data.extend(bytes(max(0, offset - len(self._data))))
        self._data[offset : offset + len(found)] = found
        return found

    def again(self, offset: int, count: int) -> bytes:
        """Bytes that were read before."""
        return bytes(self._data[offset : offset + count])


def outline_in(source: ByteSource) -> Outline:
    """The outline of the GGUF file in ``source``.

    Raises:
        FormatError: it is no GGUF, of a version we do not know, cut short, or not sound.
        OSError: reading failed.
    """
    file, spans = read_with_spans(source)
    return outline_of(file, spans, source.read_at)


def outline_of(file: GgufFile, spans: Spans, read_at: ReadAt) -> Outline:
    """The outline of a file that was read; ``read_at`` gives a count of bytes at an offset."""
    entries = [read_at(start, end - start) for start, end in _kept(file, spans)]
    entries += _vocabulary(file)
    start, end = spans.table
    counts = struct.pack("<IQQ", file.version, len(file.tensors), len(entries))
    header = b"".join((b"GGUF", counts, *entries, read_at(start, end - start)))
    alignment = file.metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    assert isinstance(alignment, int)
    data_offset = -(-len(header) // alignment) * alignment
    return Outline(header, data_offset + file.size_bytes - file.data_offset)


def write_outlines(outlines: Sequence[Outline], folder: Path) -> Path:
    """Write the parts of a model, named as ``gguf-split`` does. Returns the first one's path.

    What is not the header is a hole in the file, which takes no room where the file system can.

    Raises:
        OSError: they cannot be written.
    """
    count = len(outlines)
    names = [f"outline-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]
    for name, outline in zip(names, outlines, strict=True):
        with (folder / name).open("xb") as file:
            file.write(outline.header)
            file.truncate(max(outline.size_bytes, len(outline.header)))
    return folder / names[0]


def _kept(file: GgufFile, spans: Spans) -> Iterator[tuple[int, int]]:
    """Where the entries are that stay: all but what makes up a vocabulary."""
    replaced = _size_key(file) if _tokens(file) else None
    for key, span in spans.entries.items():
        long = isinstance(file.metadata[key], ArrayInfo | str | tuple)
        if key != replaced and not (long and key.startswith(_VOCABULARY)):
            yield span


def _vocabulary(file: GgufFile) -> Iterator[bytes]:
    yield _entry("tokenizer.ggml.model", _STRING, _text("none"))
    if tokens := _tokens(file):
        yield _entry(_size_key(file), _U32, struct.pack("<I", tokens))


def _tokens(file: GgufFile) -> int:
    tokens = file.metadata.get(_TOKENS)
    return tokens.length if isinstance(tokens, ArrayInfo) else 0


def _size_key(file: GgufFile) -> str:
    return f"{file.metadata.get('general.architecture')}.vocab_size"


def _entry(key: str, kind: int, value: bytes) -> bytes:
    return _text(key) + struct.pack("<I", kind) + value


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
