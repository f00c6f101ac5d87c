"""The shape of a plain dense decoder: what the closed form needs of a header, and nothing else.

Plain means: every block has full attention with a key and value cache over the whole context, and
one dense feed-forward network. Where any of that is in doubt the answer is a reason, not a shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from modeldeck.engines.fit.architectures import FUSED_GATE, why_not_plain
from modeldeck.engines.types import HParam, ModelHeader

_LARGEST: Final = 1 << 24
_MOST_BLOCKS: Final = 4096
_MOST_BYTES: Final = 1 << 50


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Why there is no shape; ``why`` completes "not judged yet: …"."""

    why: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A plain dense decoder in numbers.

    The tables are indexed by k, the number of blocks on the GPU; those are the *last* k, because
    llama.cpp fills from the back (``llama-model.cpp``, ``load_tensors``).

    Attributes:
        layers: blocks.
        trained_context_tokens: 0 when unknown.
        vocabulary: tokens.
        embedding: model width.
        feed_forward: width of the widest feed-forward network.
        heads: attention heads of the widest block.
        key_length: elements per head of K.
        value_length: elements per head of V.
        kv_heads: K and V heads of the widest block.
        kv_heads_vary: blocks differ in their number of K and V heads.
        blocks_gpu_bytes: weights of the last k blocks, with CUDA's padding.
        blocks_host_bytes: weights of the others, as stored.
        kv_elements: K and V elements per token over the last k blocks.
        input_bytes: tables that are always in host memory.
        output_gpu_bytes: the output layer on the GPU; a tied one is a second copy there.
        output_host_bytes: the output layer in host memory, where a tied one needs no copy.
        largest_matrix_bytes: upper estimate of the largest matrix of a block.
        quantisation: the file's type by name.
        projector_bytes: what seeing images takes; 0 for a model that sees none.
    """

    layers: int
    trained_context_tokens: int
    vocabulary: int
    embedding: int
    feed_forward: int
    heads: int
    key_length: int
    value_length: int
    kv_heads: int
    kv_heads_vary: bool
    blocks_gpu_bytes: tuple[int, ...]
    blocks_host_bytes: tuple[int, ...]
    kv_elements: tuple[int, ...]
    input_bytes: int
    output_gpu_bytes: int
    output_host_bytes: int
    largest_matrix_bytes: int
    quantisation: str
    projector_bytes: int = 0


class _Gap(Exception):
    """The header lacks something; carries the reason."""


def shape_of(header: ModelHeader) -> Shape | Unjudged:
    """The header's shape, or why the closed form does not hold for it. Never raises."""
    try:
        return _shape(header)
    except _Gap as gap:
        return Unjudged(str(gap))


def _shape(header: ModelHeader) -> Shape:
    architecture, hparams, weights = header.architecture, header.hparams, header.weights
    why = why_not_plain(architecture, hparams)
    if why:
        raise _Gap(f"{why} the dry run")

    def number(key: str, fallback: int | None = None, limit: int = _LARGEST) -> int:
        return _number(hparams.get(f"{architecture}.{key}"), key, fallback, limit)

    def per_layer(key: str, fallback: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return _per_layer(hparams.get(f"{architecture}.{key}"), key, layers, fallback)

    layers = number("block_count", limit=_MOST_BLOCKS)
    embedding = number("embedding_length")
    heads = per_layer("attention.head_count")
    widest_heads = max(heads)
    if widest_heads < 1:
        raise _Gap("no block has attention heads")
    kv_heads = per_layer("attention.head_count_kv", heads)
    feed_forward = max(per_layer("feed_forward_length"))
    head_size = embedding // widest_heads
    key_length = number("attention.key_length", head_size)
    value_length = number("attention.value_length", head_size)
    vocabulary = header.vocabulary_size or number("vocab_size")
    if not 0 < vocabulary <= _LARGEST:
        raise _Gap("its vocabulary size makes no sense")

    blocks = weights.blocks
    if [block.number for block in blocks] != list(range(layers)):
        raise _Gap(f"the file holds {len(blocks)} of {layers} blocks")
    if any(block.expert_bytes for block in blocks):
        raise _Gap("its mixture of experts needs the dry run")
    if not 0 < weights.total_bytes <= _MOST_BYTES:
        raise _Gap("its tensor table makes no sense")

    stored = [block.dense_bytes for block in blocks]
    padded = [block.dense_bytes + block.cuda_padding_bytes for block in reversed(blocks)]
    per_token = [count * (key_length + value_length) for count in reversed(kv_heads)]
    if min(stored) < 0 or min(padded) < 0:
        raise _Gap("its tensor table makes no sense")
    output = weights.output_bytes + weights.other_bytes
    tied = weights.token_embedding_bytes if weights.output_tied else 0
    # Two feed-forward matrices and four of attention: the least a block has, so an upper estimate.
    wide = feed_forward * (2 if architecture in FUSED_GATE else 1)
    share = wide / (wide + feed_forward + 2 * widest_heads * key_length + 1)
    return Shape(
        layers=layers,
        trained_context_tokens=max(header.context_length, 0),
        vocabulary=vocabulary,
        embedding=embedding,
        feed_forward=feed_forward,
        heads=widest_heads,
        key_length=key_length,
        value_length=value_length,
        kv_heads=max(kv_heads),
        kv_heads_vary=min(kv_heads) != max(kv_heads),
        blocks_gpu_bytes=tuple(accumulate(padded, initial=0)),
        blocks_host_bytes=tuple(reversed(tuple(accumulate(stored, initial=0)))),
        kv_elements=tuple(accumulate(per_token, initial=0)),
        input_bytes=weights.token_embedding_bytes + weights.host_only_bytes,
        output_gpu_bytes=output + tied,
        output_host_bytes=output,
        largest_matrix_bytes=round(max(stored) * share),
        quantisation=header.quantisation,
    )


def _number(value: HParam | None, key: str, fallback: int | None, limit: int) -> int:
    if value is None and fallback is not None:
        value = fallback
    if value is None:
        raise _Gap(f"the header has no {key}")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= limit:
        raise _Gap(f"its {key} makes no sense")
    return value


def _per_layer(
    value: HParam | None, key: str, layers: int, fallback: tuple[int, ...] | None
) -> tuple[int, ...]:
    """A key that is one number for all blocks, or one for each (0: the block has none)."""
    if value is None and fallback is not None:
        return fallback
    if not isinstance(value, tuple):
        return (_number(value, key, None, _LARGEST),) * layers
    counts = tuple(
        count
        for count in value
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= _LARGEST
    )
    if len(counts) != layers or len(value) != layers:
        raise _Gap(f"its {key} makes no sense")
    return counts
