"""The parts of a model's graph that may need the most memory at once, in numbers.

The compute buffer is as large as the widest of them (``ggml-alloc`` reuses what is no longer
needed), the attention mask living through all. Which tensors are alive together is in llama.cpp's
``llama-graph.cpp`` and ``models/``; the factors were settled against its own dry run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from modeldeck.engines.fit.architectures import Architecture
from modeldeck.engines.fit.hparams import HParams
from modeldeck.engines.fit.layers import Layers


class Phase(NamedTuple):
    """One part of the graph; equal blocks are one phase.

    Attributes:
        per_token: 32-bit numbers alive for each token of a micro-batch.
        heads: rows of attention scores per token and cell, where they are kept: without flash
            attention.
        cached_elements: of K and V for a token; a quantised cache is unpacked to 16 bits here.
        sliding: its cells are those of the window.
        copied_per_token: as ``per_token`` where the weights are copied from host memory one at a
            time; 0 for all but a mixture of experts.
    """

    per_token: int
    heads: int = 0
    cached_elements: int = 0
    sliding: bool = False
    copied_per_token: int = 0


def phases_of(
    name: str, facts: Architecture, keys: HParams, layers: Layers, embedding: int
) -> tuple[Phase, ...]:
    """The distinct phases of all blocks."""
    # Attention runs at the width of the widest block that the file has of it.
    queries = [
        heads * length * bool(k)
        for heads, length, k in zip(layers.heads, layers.key_length, layers.keys, strict=True)
    ]
    widest = max(queries, default=0) or embedding
    found = set(_attention(name, layers, queries, embedding))
    found.update(_feed_forward(name, facts, keys, embedding, widest))
    if any(layers.states):
        found.update(_recurrent(name, keys, layers, embedding))
    return tuple(sorted(found))


def _attention(name: str, layers: Layers, queries: list[int], embedding: int) -> Iterable[Phase]:
    for at in range(layers.trunk):
        heads, query = layers.heads[at], queries[at]
        if layers.latent:
            width = heads * (192 + layers.key_length[at] + layers.value_length[at])
        else:
            width = (5 if name.startswith("qwen35") or name == "qwen3next" else 2) * query
        elements = layers.kv_heads[at] * layers.key_length[at] + layers.values[at]
        yield Phase(2 * embedding + width, heads, elements, layers.sliding[at])


def _feed_forward(
    name: str, facts: Architecture, keys: HParams, embedding: int, query: int
) -> Iterable[Phase]:
    around = 2 * embedding + query
    dense = max(keys.per_layer("feed_forward_length", (0,) * keys.layers))
    if dense:
        yield Phase(3 * dense + around)
    used = max(keys.per_layer("expert_used_count", (0,) * keys.layers))
    if not keys.count("expert_count") or not used:
        return
    wide = max(keys.per_layer("expert_feed_forward_length", (dense,) * keys.layers))
    inputs = 0 if name == "gpt-oss" else used * embedding
    yield Phase(
        inputs + 3 * used * wide + around, copied_per_token=used * (embedding + wide) + around
    )


def _recurrent(name: str, keys: HParams, layers: Layers, embedding: int) -> Iterable[Phase]:
    inner = keys.count("ssm.inner_size") or embedding
    yield Phase(2 * embedding + 4 * inner)
