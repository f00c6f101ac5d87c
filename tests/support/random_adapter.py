"""LoRA adapters with random weights for the random models, as llama.cpp's converter writes them."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from tests.support.random_model import TINY, Size

_KV_SHARE = 2


def make_random_adapter(
    path: Path, size: Size = TINY, *, rank: int = 8, architecture: str = "llama"
) -> Path:
    """Write an adapter of every block's attention and of the output layer; return its path."""
    rng = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 16.0)

    def matrix(name: str, rows: int, columns: int) -> None:
        weights = rng.standard_normal((rows, columns), dtype=np.float32) * 0.01
        writer.add_tensor(name, weights.astype(np.float16))

    def pair(name: str, rows: int, columns: int) -> None:
        matrix(f"{name}.lora_a", rank, columns)
        matrix(f"{name}.lora_b", rows, rank)

    for block in range(size.blocks):
        pair(f"blk.{block}.attn_q.weight", size.width, size.width)
        pair(f"blk.{block}.attn_v.weight", size.width // _KV_SHARE, size.width)
    pair("output.weight", size.vocabulary, size.width)
    # The table of input tokens is looked up: both matrices lie the other way round.
    matrix("token_embd.weight.lora_a", size.vocabulary, rank)
    matrix("token_embd.weight.lora_b", size.width, rank)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
