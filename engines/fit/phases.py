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

_SPARE: Final = 4096
"""Numbers for each token that have room between others."""


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
    if any(layers.indexed) and facts.graph.scores:
        # Zeros for what an indexer chooses: each block's own, all of them made beforehand.
        sparse = sum(
            k > 0 and not slides for k, slides in zip(layers.keys, layers.sliding, strict=True)
        )
        inputs += sparse * keys.count("attention.indexer.top_k")
    around += inputs + facts.graph.network_widths * embedding
    parallel = _attention_beside(facts, keys, layers)
    found = set(_feed_forward(facts, keys, embedding, around, dense_blocks, parallel))
    if facts.graph.streams:
        found.add(Phase(facts.graph.streams * embedding + inputs))
    if facts.recurrent != "all":
        below = _below_attention(facts, keys, embedding, 2 * embedding if layers.latent else around)
        found.update(_attention(facts, keys, layers, embedding, inputs, below))
    if any(layers.states):
        # What a block reads of its state, and what it leaves.
        found.add(Phase(_recurrent(facts, keys, embedding), states=2 * max(layers.states)))
    return tuple(sorted(found))


def layer_inputs(facts: Architecture, keys: HParams) -> int:
    """What a token brings to the blocks beside its embedding, over all blocks."""
    return keys.layers * keys.count("embedding_length_per_layer_input", facts.graph.layer_inputs)


def _attention_beside(facts: Architecture, keys: HParams, layers: Layers) -> dict[bool, int]:
    """K and V of a block, by whether it slides, where its network runs beside attention.

    Attention's result waits for that, and behind it what was unpacked of a quantised cache.
    """
    if not (facts.graph.parallel or keys.get("use_parallel_residual") is True):
        return {}
    return {
        slides: kv_heads * length + values
        for kv_heads, length, values, slides in zip(
            layers.kv_heads, layers.key_length, layers.values, layers.sliding, strict=True
        )
    }


def _below_attention(
    facts: Architecture, keys: HParams, embedding: int, around: int
) -> tuple[int, bool]:
    """What lies below the input of a block whose predecessor is a mixture of experts.

    The sum of the experts lies where it found room, maybe on top of all that they took. What is
    larger than the room below has to lie above it. With shared experts it stays there while they
    compute; without them that matters to what a quantised cache is unpacked to alone.

    Returns:
        Numbers for each token, 0 for none; and whether they matter to that alone.
    """
    used, wide, shared = _experts(facts, keys)
    output = used * _expert_output(facts, keys, embedding)
    made = 3 * used * wide
    apart = facts.recurrent == "no-kv-heads-nor-ff"
    if used < 2 or apart or not wide or _stacked(made, output, embedding):
        return 0, False
    if output > made:
        return embedding + output, False
    if 3 * output <= 2 * made or made - output < embedding:
        if shared:
            return _experts_width(made, output, embedding, around + embedding, shared=True), False
        return (3 * embedding + made, True) if 3 * output > 2 * made else (0, False)
    return 2 * embedding + output, not shared


def _attention(
    facts: Architecture,
    keys: HParams,
    layers: Layers,
    embedding: int,
    inputs: int,
    below: tuple[int, bool],
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
        on_top = False
        if layers.latent:
            # The queries as made, their halves as they are compressed, and both together.
            width = heads * (latent_key + keys.count("rope.dimension_count") + length + v_length)
            width += keys.count("attention.q_lora_rank")
            on_top = below[0] > 0 and heads * v_length > below[0] - 3 * embedding
            if on_top:
                width = max(width, below[0] - 2 * embedding + heads * (length + v_length))
        else:
            width = facts.graph.queries * heads * length
        if indexed and facts.graph.scores:
            around = (3 + facts.graph.widths) * embedding + length + inputs
            queries = around + facts.graph.indexer_widths * indexer
            yield Phase(queries, scores=facts.graph.scores)
            # On a GPU they may lie above all that the experts took.
            if below[0]:
                yield Phase(below[0] + inputs + embedding, scores=facts.graph.scores, fused=True)
            # Without flash attention, beside its scores.
            turned = v_length if layers.latent else 0
            yield Phase(queries - indexer, heads, scores=facts.graph.scores, turned=turned)
            # Before there are scores: the queries as they are made.
            made = (
                (4 + facts.graph.widths) * embedding + inputs + facts.graph.indexer_made * indexer
            )
            yield Phase(made)
        yield Phase(
            (2 + facts.graph.widths) * embedding + width + inputs,
            heads,
            kv_heads * length + values,
            sliding,
            flash_scores=(facts.graph.head_scores * keys.count("attention.indexer.head_count") + 1)
            * indexed
            if facts.graph.head_scores
            else 0,
            turned=v_length if layers.latent else 0,
            below=0 if layers.latent else below[0],
            below_unpacked=below[1],
            result=heads * v_length if layers.latent else 0,
            hole=heads * latent_key if indexed and facts.graph.scores else 0,
            spare=0 if on_top else _SPARE,
            # The mask of what the indexer chose.
            scores=0.5 if indexed and facts.graph.scores else 0.0,
        )


def _feed_forward(
    facts: Architecture,
    keys: HParams,
    embedding: int,
    around: int,
    dense_blocks: bool,
    parallel: dict[bool, int],
) -> Iterator[Phase]:
    dense = max(keys.per_layer("feed_forward_length", (0,) * keys.layers))
    used = max(keys.per_layer("expert_used_count", (0,) * keys.layers))
    has_experts = keys.count("expert_count") > 0 and used > 0
    if dense and (dense_blocks or not has_experts):
        # Gate, up and their product; a network without a gate works in place.
        width = round((3 if facts.gated else 1) * facts.graph.networks * dense) + around
        yield Phase(width)
        for slides, elements in parallel.items():
            yield Phase(width, cached_elements=elements, sliding=slides)
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
        shared = _experts(facts, keys)[2]
        output = used * _expert_output(facts, keys, embedding)
        width = _experts_width(3 * used * wide, output, embedding, around, shared=shared)
        copied = used * (embedding + wide) + around
        yield Phase(width, copied_per_token=copied, fused=True)
        for slides, elements in parallel.items():
            yield Phase(
                width, cached_elements=elements, sliding=slides, copied_per_token=copied, fused=True
            )


def _experts(facts: Architecture, keys: HParams) -> tuple[int, int, bool]:
    """Experts of a token, the width of one, and whether there are shared ones."""
    used = max(keys.per_layer("expert_used_count", (0,) * keys.layers))
    dense = max(keys.per_layer("feed_forward_length", (0,) * keys.layers))
    wide = max(keys.per_layer("expert_feed_forward_length", (dense,) * keys.layers))
    shared = keys.count("expert_shared_count") or keys.count("expert_shared_feed_forward_length")
    return used, dense if facts.dense_wide else wide, bool(shared)


def _expert_output(facts: Architecture, keys: HParams, embedding: int) -> int:
    """The width of what an expert gives: the model's, or one in between."""
    latent = keys.count(facts.graph.latent_experts) if facts.graph.latent_experts else 0
    return latent or embedding


def _stacked(made: int, output: int, embedding: int) -> bool:
    """The weighed output of the experts has no room where gate, up and their product were."""
    return output > made + embedding


def _experts_width(made: int, output: int, embedding: int, around: int, *, shared: bool) -> int:
    """What experts take whose output is weighed and summed at once, and stays until then.

    ``ggml-alloc`` puts each tensor into the smallest hole that has room for it, else on top: the
    output where gate and up were, the weighed one where all three were, the sum behind that.
    """
    if _stacked(made, output, embedding):
        return made + 2 * output + 2 * embedding + embedding * (shared or around > 3 * embedding)
    base = around - embedding * (not shared)
    if 3 * output <= 2 * made:
        return base + max(made, 2 * output + embedding)
    return base + made + output + embedding * (made - output <= embedding)


def _recurrent(facts: Architecture, keys: HParams, embedding: int) -> int:
    graph = facts.graph
    groups = 2 * keys.count("ssm.group_count") * keys.count("ssm.state_size")
    inner = graph.state_inner * keys.count("ssm.inner_size") + 3 * groups * (graph.state_inner > 0)
    return graph.state_widths * embedding + inner
