"""The parts of a model's graph that may need the most memory at once, in numbers.

The compute buffer is as large as the widest of them (``ggml-alloc`` reuses what is no longer
needed), the attention mask living through all. Which tensors are alive together is in llama.cpp's
``llama-graph.cpp`` and ``models/``; the factors were settled against its own dry run.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from modeldeck.engines.fit.architectures import Architecture
from modeldeck.engines.fit.hparams import HParams
from modeldeck.engines.fit.layers import Layers
from modeldeck.engines.fit.shape import Phase

_FUSED_EXPERTS: Final = 15
"""CUDA weighs and sums the output of up to so many experts in one kernel (``ggml-cuda.cu``)."""


def phases_of(
    facts: Architecture, keys: HParams, layers: Layers, embedding: int, dense_blocks: bool
) -> tuple[Phase, ...]:
    """The distinct phases of all blocks.

    Args:
        facts: the architecture.
        keys: the header's.
        layers: what each block caches.
        embedding: the model's width.
        dense_blocks: some block has a feed-forward network that is no mixture of experts.
    """
    # The block's input, that with attention added, and attention's output.
    kept = facts.graph.network_queries
    latent_value = keys.count("attention.value_length_mla") if layers.latent else 0
    around = 2 * embedding + kept * (
        max(
            heads * (latent_value or length) * (k > 0)
            for heads, length, k in set(
                zip(layers.heads, layers.key_length, layers.keys, strict=True)
            )
        )
        or embedding
    )
    around += facts.graph.widths * embedding
    # The inputs of every block, made beforehand.
    inputs = facts.graph.input_copies * layer_inputs(facts, keys)
    around += inputs + facts.graph.network_widths * embedding
    found = set(_feed_forward(facts, keys, embedding, around, dense_blocks))
    if facts.graph.streams:
        found.add(Phase(facts.graph.streams * embedding + inputs))
    if facts.recurrent != "all":
        found.update(_attention(facts, keys, layers, embedding, inputs))
    if any(layers.states):
        # What a block reads of its state, and what it leaves.
        found.add(Phase(_recurrent(facts, keys, embedding), states=2 * max(layers.states)))
    return tuple(sorted(found))


def layer_inputs(facts: Architecture, keys: HParams) -> int:
    """What a token brings to the blocks beside its embedding, over all blocks."""
    return keys.layers * keys.count("embedding_length_per_layer_input", facts.graph.layer_inputs)


def _attention(
    facts: Architecture, keys: HParams, layers: Layers, embedding: int, inputs: int
) -> Iterator[Phase]:
    latent_key = keys.count("attention.key_length_mla")
    indexer = keys.count("attention.indexer.head_count") * keys.count(
        "attention.indexer.key_length"
    )
    blocks = zip(
        layers.heads,
        layers.kv_heads,
        layers.key_length,
        layers.value_length,
        layers.values,
        layers.sliding,
        layers.indexed,
        strict=True,
    )
    # Most blocks are alike.
    for heads, kv_heads, length, v_length, values, sliding, indexed in set(
        islice(blocks, layers.trunk)
    ):
        if layers.latent:
            width = heads * (2 * latent_key + length + v_length)
        else:
            width = facts.graph.queries * heads * length
        if indexed and facts.graph.scores:
            around = (3 + facts.graph.widths) * embedding + length
            queries = around + facts.graph.indexer_widths * indexer
            yield Phase(queries, scores=facts.graph.scores)
            # Without flash attention, beside its scores.
            turned = v_length if layers.latent else 0
            yield Phase(queries - indexer, heads, scores=facts.graph.scores, turned=turned)
            # Before there are scores: the queries as they are made.
            made = (4 + facts.graph.widths) * embedding + facts.graph.indexer_made * indexer
            yield Phase(made)
        yield Phase(
            (2 + facts.graph.widths) * embedding + width + inputs,
            heads,
            kv_heads * length + values,
            sliding,
            flash_scores=(facts.graph.head_scores * heads + 1) * indexed
            if facts.graph.head_scores
            else 0,
            turned=v_length if layers.latent else 0,
            # The mask of what the indexer chose.
            scores=0.5 if indexed and facts.graph.scores else 0.0,
        )


def _feed_forward(
    facts: Architecture, keys: HParams, embedding: int, around: int, dense_blocks: bool
) -> Iterator[Phase]:
    dense = max(keys.per_layer("feed_forward_length", (0,) * keys.layers))
    used = max(keys.per_layer("expert_used_count", (0,) * keys.layers))
    has_experts = keys.count("expert_count") > 0 and used > 0
    if dense and (dense_blocks or not has_experts):
        # Gate, up and their product; a network without a gate works in place.
        yield Phase(round((3 if facts.gated else 1) * facts.graph.networks * dense) + around)
    if not has_experts:
        return
    wide = max(keys.per_layer("expert_feed_forward_length", (dense,) * keys.layers))
    wide = dense if facts.dense_wide else wide
    # The experts' output takes the place of gate and up where it is no larger than these.
    outputs = used * embedding if embedding > 2 * wide else 0
    yield Phase(
        outputs + (3 if facts.gated else 1) * used * wide + around,
        copied_per_token=used * (embedding + wide) + around,
    )
    if used <= _FUSED_EXPERTS:
        # Weighed and summed at once: the experts' output stays until the sum is there.
        yield Phase(
            2 * used * embedding + 2 * embedding + facts.graph.widths * embedding,
            copied_per_token=used * (embedding + wide) + around,
        )


def _recurrent(facts: Architecture, keys: HParams, embedding: int) -> int:
    graph = facts.graph
    groups = 2 * keys.count("ssm.group_count") * keys.count("ssm.state_size")
    inner = graph.state_inner * keys.count("ssm.inner_size") + 3 * groups * (graph.state_inner > 0)
    return graph.state_widths * embedding + inner
