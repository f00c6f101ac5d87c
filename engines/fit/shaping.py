"""Sums up what a header says of its blocks: a model's shape."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import add
from typing import Final

from modeldeck.engines.fit.architectures import Architecture, architecture
from modeldeck.engines.fit.hparams import LARGEST, MOST_BLOCKS, Gap, HParams
from modeldeck.engines.fit.layers import Layers, layers_of
from modeldeck.engines.fit.phases import layer_inputs, phases_of
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.types import BlockWeights, ModelHeader, WeightTable

_MOST_BYTES: Final = 1 << 50


def shape_of(header: ModelHeader) -> Shape | Unjudged:
    """The header's shape, or why the closed form does not hold for it. Never raises."""
    try:
        return _shape(header)
    except Gap as gap:
        return Unjudged(str(gap))


def _shape(header: ModelHeader) -> Shape:
    name, weights = header.architecture, header.weights
    facts = architecture(name)
    if isinstance(facts, str):
        raise Gap(facts)
    layers = HParams(name, header.hparams).number("block_count", limit=MOST_BLOCKS)
    keys = HParams(name, header.hparams, layers)
    embedding = keys.number("embedding_length")
    kept = layers_of(facts, keys, embedding)
    vocabulary = header.vocabulary_size or keys.number("vocab_size")
    if not 0 < vocabulary <= LARGEST:
        raise Gap("its vocabulary size makes no sense")
    blocks = _blocks(weights, layers, kept.trunk)
    ahead = sum(
        block.dense_bytes + block.expert_bytes + block.cuda_padding_bytes
        for block in weights.blocks[kept.trunk :]
    )
    if not 0 < weights.total_bytes <= _MOST_BYTES:
        raise Gap("its tensor table makes no sense")

    stored = [block.dense_bytes + block.expert_bytes for block in blocks]
    padded = [size + block.cuda_padding_bytes for size, block in zip(stored, blocks, strict=True)]
    experts = [block.expert_bytes for block in blocks]
    if min(ahead, *stored, *padded, *experts) < 0:
        raise Gap("its tensor table makes no sense")
    output = weights.output_bytes + weights.other_bytes
    tied = weights.token_embedding_bytes if weights.output_tied and facts.has_output else 0
    feed_forward = max(keys.per_layer("feed_forward_length", (0,) * layers))
    widest_v = max(kept.values)
    flat_v = (0,) * layers if kept.latent else tuple(widest_v * has for has in kept.cached)
    both = list(map(add, kept.keys, kept.values))
    flat = both if flat_v == kept.values else list(map(add, kept.keys, flat_v))
    full_both, sliding_both = _parted(both, kept.sliding)
    full_flat, sliding_flat = _parted(flat, kept.sliding)
    padding = [block.expert_padding_bytes for block in blocks]
    at = kept.heads.index(max(kept.heads))
    # Learnt positions are looked up where their table is.
    positions = embedding * (facts.graph.positions and weights.host_only_bytes > 0)
    return Shape(
        layers=layers,
        trained_context_tokens=max(header.context_length, 0),
        vocabulary=vocabulary,
        embedding=embedding,
        feed_forward=feed_forward,
        heads=kept.heads[at],
        key_length=kept.key_length[at],
        value_length=kept.value_length[at],
        kv_heads=max(kept.kv_heads),
        blocks_gpu_bytes=_from_back(padded),
        blocks_host_bytes=tuple(reversed(tuple(accumulate(stored, initial=0)))),
        kv_elements=full_both,
        input_bytes=weights.token_embedding_bytes + weights.host_only_bytes,
        output_gpu_bytes=output + tied,
        output_host_bytes=output,
        largest_matrix_bytes=_largest_matrix(weights, facts, kept, feed_forward, stored),
        quantisation=header.quantisation,
        sliding_elements=sliding_both,
        window_tokens=kept.window_tokens,
        unflashed_elements=full_flat,
        unflashed_sliding_elements=sliding_flat,
        widest_values=0 if kept.latent else widest_v,
        state_bytes=_from_back([4 * state for state in kept.states]),
        experts_gpu_bytes=_sums(list(map(add, experts, padding))),
        experts_host_bytes=_sums(experts),
        largest_expert_bytes=weights.largest_expert_bytes or -(-max(experts) // 3),
        phases=phases_of(facts, keys, kept, embedding, min(experts[: kept.trunk]) == 0),
        layer_inputs=layer_inputs(facts, keys) + positions,
        crossing=facts.graph.crossing,
        experts_used=max(keys.per_layer("expert_used_count", (0,) * layers)),
        experts=max(keys.per_layer("expert_count", (0,) * layers)),
        parameters=max(header.parameters, 0),
        expert_parameters=_expert_parameters(keys, embedding, experts),
        cached=facts.cached or any(kept.states),
        flash_attention=facts.flash_attention,
        reads_cache=facts.reads_cache,
        head_sizes=tuple(
            sorted(
                {
                    (key, value)
                    for key, value, k in zip(
                        kept.key_length, kept.value_length, kept.keys, strict=True
                    )
                    if k
                }
            )
        ),
        rolls_back=facts.rolls_back,
        every_output=facts.graph.every_output,
        ahead_bytes=ahead,
        ahead_elements=sum(
            kept.kv_heads[at] * (kept.key_length[at] + kept.value_length[at] * (not kept.latent))
            for at in range(kept.trunk, layers)
        ),
    )


def _expert_parameters(keys: HParams, embedding: int, stored: list[int]) -> int:
    """Three matrices for each expert of each block that has any."""
    widths = keys.per_layer("expert_feed_forward_length", (0,) * keys.layers)
    counts = keys.per_layer("expert_count", (0,) * keys.layers)
    return (
        3
        * embedding
        * sum(
            width * count for width, count, size in zip(widths, counts, stored, strict=True) if size
        )
    )


def _blocks(weights: WeightTable, layers: int, trunk: int) -> list[BlockWeights]:
    """All blocks' weights; those that predict ahead are not loaded, and need not be there."""
    numbers = [block.number for block in weights.blocks]
    if numbers[:trunk] != list(range(trunk)) or len(numbers) > layers:
        raise Gap(f"the file holds {len(numbers)} of {layers} blocks")
    idle = [BlockWeights(at, 0, 0, 0) for at in range(trunk, layers)]
    return [*weights.blocks[:trunk], *idle]


def _sums(values: Sequence[int]) -> tuple[int, ...]:
    """Totals of the first n values."""
    return tuple(accumulate(values, initial=0)) if any(values) else (0,) * (len(values) + 1)


def _from_back(values: Sequence[int]) -> tuple[int, ...]:
    """Totals of the last n values."""
    return _sums(values[::-1])


def _parted(
    values: Sequence[int], sliding: Sequence[bool]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Totals over the last k blocks: of those that cache the context, and of those that slide."""
    if not any(sliding):
        return _from_back(values), (0,) * (len(values) + 1)
    pairs = list(zip(values, sliding, strict=True))
    full = [0 if slides else value for value, slides in pairs]
    return _from_back(full), _from_back([value if slides else 0 for value, slides in pairs])


def _largest_matrix(
    weights: WeightTable, facts: Architecture, kept: Layers, feed_forward: int, stored: list[int]
) -> int:
    if weights.largest_matrix_bytes:
        return weights.largest_matrix_bytes
    # Two feed-forward matrices and four of attention: the least a block has, so an upper estimate.
    wide = feed_forward * (2 if facts.fused_gate else 1)
    query = max(heads * length for heads, length in zip(kept.heads, kept.key_length, strict=True))
    return round(max(stored) * wide / (wide + feed_forward + 2 * query + 1))
