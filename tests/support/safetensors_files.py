"""Makes folders of safetensors for tests, by hand; the weights are a hole and take no room."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from modeldeck.engines.formats.safetensors import BITS

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "num_hidden_layers": 2,
    "max_position_embeddings": 4096,
    "vocab_size": 1000,
    "torch_dtype": "bfloat16",
}
"""The ``config.json`` of a model that ``llama_weights`` has the weights of."""


@dataclass(frozen=True)
class Weight:
    """A tensor; ``shape`` with the slowest dimension first."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "BF16"

    @property
    def size_bytes(self) -> int:
        """Bytes of its weights."""
        return prod(self.shape) * BITS[self.dtype] // 8


def llama_weights(
    blocks: int = 2, embedding: int = 64, vocabulary: int = 1000, *, linear: str = "BF16"
) -> list[Weight]:
    """A small Llama, untied."""
    weights = [Weight("model.embed_tokens.weight", (vocabulary, embedding))]
    for block in range(blocks):
        at = f"model.layers.{block}"
        weights += [
            Weight(f"{at}.input_layernorm.weight", (embedding,)),
            Weight(f"{at}.self_attn.q_proj.weight", (embedding, embedding), linear),
            Weight(f"{at}.mlp.down_proj.weight", (embedding, 2 * embedding), linear),
        ]
    return [*weights, Weight("model.norm.weight", (embedding,)), Weight("lm_head.weight", (8, 8))]


def safetensors_header(
    weights: Sequence[Weight], metadata: Mapping[str, str] | None = None
) -> bytes:
    """A header as the safetensors package writes it."""
    table: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for weight in weights:
        end = at + weight.size_bytes
        table[weight.name] = {
            "dtype": weight.dtype,
            "shape": list(weight.shape),
            "data_offsets": [at, end],
        }
        at = end
    return packed(json.dumps(table, separators=(",", ":")).encode())


def packed(text: bytes) -> bytes:
    """``text`` as a header: its length in front, spaces behind up to a multiple of eight."""
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def write_safetensors(
    path: Path, weights: Sequence[Weight], metadata: Mapping[str, str] | None = None
) -> Path:
    """A whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = safetensors_header(weights, metadata)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + sum(weight.size_bytes for weight in weights))
    return path


def write_folder(
    folder: Path,
    weights: Sequence[Weight] | None = None,
    config: Mapping[str, object] | None = None,
    *,
    shards: int = 1,
) -> Path:
    """A model as it is published: ``config.json`` and its weights in one file or several."""
    weights = llama_weights() if weights is None else weights
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(LLAMA if config is None else config))
    if shards == 1:
        write_safetensors(folder / "model.safetensors", weights)
        return folder
    weight_map: dict[str, str] = {}
    for number in range(shards):
        name = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = weights[number::shards]
        write_safetensors(folder / name, part)
        weight_map.update((weight.name, name) for weight in part)
    total = sum(weight.size_bytes for weight in weights)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder
