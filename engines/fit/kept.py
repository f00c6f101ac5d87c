"""What a model keeps for each token and each sequence, for engines other than llama.cpp.

These allocate by the token and not by the cell, and sum their weights from the shards as stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from modeldeck.engines.fit.architectures import architecture
from modeldeck.engines.fit.hparams import LARGEST, MOST_BLOCKS, Gap, HParams
from modeldeck.engines.fit.layers import layers_of
from modeldeck.engines.fit.shape import Unjudged
from modeldeck.engines.types import ModelHeader

_MOST_BYTES: Final = 1 << 50


@dataclass(frozen=True, slots=True)
class Kept:
    """A model in numbers, by whole layers.

    Attributes:
        layers: blocks.
        weights_bytes: all tensors as stored.
        embedding_bytes: the table of input tokens, of those.
        elements: K and V elements of a token, over blocks that cache the context.
        sliding_elements: the same over blocks that cache a window.
        widest_elements: the same of the widest block.
        window_tokens: 0 when no block slides.
        state_elements: recurrent state of a sequence.
        attention_blocks: blocks with a cache.
        heads: attention heads.
        vocabulary: tokens.
        embedding: model width.
        feed_forward: width of the widest feed-forward network; of all experts that a token uses.
        trained_context_tokens: 0 when unknown.
    """

    layers: int
    weights_bytes: int
    embedding_bytes: int
    elements: int
    sliding_elements: int
    widest_elements: int
    window_tokens: int
    state_elements: int
    attention_blocks: int
    heads: int
    vocabulary: int
    embedding: int
    feed_forward: int
    trained_context_tokens: int

    def part(self, cards: int) -> Kept:
        """What each of several cards has of the model when its tensors are split."""

        def share(size: int) -> int:
            return -(-size // cards)

        return replace(
            self,
            weights_bytes=share(self.weights_bytes),
            embedding_bytes=share(self.embedding_bytes),
            elements=share(self.elements),
            sliding_elements=share(self.sliding_elements),
            widest_elements=share(self.widest_elements),
            state_elements=share(self.state_elements),
            heads=share(self.heads),
            feed_forward=share(self.feed_forward),
        )


def kept_of(header: ModelHeader) -> Kept | Unjudged:
    """The header in numbers, or why it has none. Never raises."""
    try:
        return _kept(header)
    except Gap as gap:
        return Unjudged(str(gap))


def _kept(header: ModelHeader) -> Kept:
    facts = architecture(header.architecture)
    if isinstance(facts, str):
        raise Gap(facts.replace("needs the dry run", "is not known here"))
    layers = HParams(header.architecture, header.hparams).number("block_count", limit=MOST_BLOCKS)
    keys = HParams(header.architecture, header.hparams, layers)
    embedding = keys.number("embedding_length")
    blocks = layers_of(facts, keys, embedding)
    weights = header.weights
    if not 0 < weights.total_bytes <= _MOST_BYTES or weights.token_embedding_bytes < 0:
        raise Gap("its tensor table makes no sense")
    vocabulary = header.vocabulary_size or keys.number("vocab_size")
    if not 0 < vocabulary <= LARGEST:
        raise Gap("its vocabulary size makes no sense")
    each = [k + v for k, v in zip(blocks.keys, blocks.values, strict=True)]
    wide = max(keys.per_layer("feed_forward_length", (0,) * layers))
    used = max(keys.per_layer("expert_used_count", (0,) * layers))
    experts = used * max(keys.per_layer("expert_feed_forward_length", (wide,) * layers))
    return Kept(
        layers=layers,
        weights_bytes=weights.total_bytes,
        embedding_bytes=min(weights.token_embedding_bytes, weights.total_bytes),
        elements=sum(n for n, slid in zip(each, blocks.sliding, strict=True) if not slid),
        sliding_elements=sum(n for n, slid in zip(each, blocks.sliding, strict=True) if slid),
        widest_elements=max(each),
        window_tokens=blocks.window_tokens,
        state_elements=sum(blocks.states),
        attention_blocks=sum(n > 0 for n in each),
        heads=max(blocks.heads),
        vocabulary=vocabulary,
        embedding=embedding,
        feed_forward=max(wide, experts),
        trained_context_tokens=max(header.context_length, 0),
    )
