"""Headers of the size that real ones have."""

from __future__ import annotations

import struct
from pathlib import Path

from modeldeck.engines.catalog.reading import outlines_of
from modeldeck.engines.formats.gguf_outline import Outline
from tests.support.gguf_files import (
    ARRAY,
    I32,
    Q4_K,
    llama_metadata,
    llama_tensors,
    write_gguf,
)

TOKENS, MERGES = 128_256, 280_147


def write_eight_billion(path: Path) -> Path:
    """A sparse file with the dimensions and a vocabulary of the size of Llama 3.1 8B's."""
    metadata = llama_metadata(
        blocks=32,
        embedding=4096,
        feed_forward=14336,
        heads=32,
        kv_heads=8,
        context=131072,
        tokens=TOKENS,
        file_type=15,
    )
    metadata["tokenizer.ggml.pre"] = "llama-bpe"
    metadata["tokenizer.ggml.merges"] = [f"t{number} o{number}" for number in range(MERGES)]
    kinds = struct.pack("<IIQ", ARRAY, I32, TOKENS) + struct.pack(f"<{TOKENS}i", *[1] * TOKENS)
    metadata["tokenizer.ggml.token_type"] = kinds
    tensors = llama_tensors(
        blocks=32,
        embedding=4096,
        feed_forward=14336,
        heads=32,
        kv_heads=8,
        tokens=TOKENS,
        ggml_type=Q4_K,
    )
    return write_gguf(path, metadata, tensors)


def eight_billion(folder: Path) -> Outline:
    """The outline of that file."""
    return outlines_of([write_eight_billion(folder / "8b.gguf")])[0]
