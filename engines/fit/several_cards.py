"""One model over several cards: whole layers on each, or a part of every tensor; a bill per card.

Layers go as llama.cpp puts them (``llama-model.cpp``, ``load_tensors``): the blocks on the GPU and
the output layer are dealt out in order, in proportion to what is free on each card. With tensors
split each card holds its part of every matrix and of every head's cache. Each card has its own
compute buffers and CUDA context either way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Literal

from modeldeck.engines.fit.placement import fits, last_not_negative
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.terms import MARGIN_BYTES, bill
from modeldeck.engines.fit.types import Bill, Card
from modeldeck.engines.types import Plan

SplitMode = Literal["layer", "tensor"]


@dataclass(frozen=True, slots=True)
class CardShare:
    """What one card takes; the first card's bill has the host's part too.

    Attributes:
        card: that takes it.
        blocks: whole ones; all of those on the GPU where tensors are split.
        bill: on this card.
    """

    card: Card
    blocks: int
    bill: Bill


def shares(
    shape: Shape,
    plan: Plan,
    cards: Sequence[Card],
    blocks_on_gpu: int,
    *,
    mode: SplitMode = "layer",
    margin_bytes: int = MARGIN_BYTES,
) -> tuple[CardShare, ...]:
    """What each card takes of the last ``blocks_on_gpu`` blocks and the output layer.

    Args:
        shape: the model.
        plan: everything but the layers.
        cards: in the engine's order; at least one.
        blocks_on_gpu: over all cards.
        mode: whole layers, or a part of every tensor.
        margin_bytes: to be kept free on each card.
    """
    whole = bill(shape, plan, plan.context_tokens, blocks_on_gpu, cards=len(cards))
    if mode == "tensor":
        blocks = [blocks_on_gpu] * len(cards)
        parts = [_part(whole, len(cards))] * len(cards)
    else:
        blocks = dealt_out(blocks_on_gpu, [card.free_bytes for card in cards])
        parts = _layers(shape, plan, whole, blocks)
    made = [
        CardShare(card, count, part._replace(margin_bytes=margin_bytes))
        for card, count, part in zip(cards, blocks, parts, strict=True)
    ]
    host = made[0].bill._replace(
        weights_host_bytes=whole.weights_host_bytes,
        kv_host_bytes=whole.kv_host_bytes,
        recurrent_host_bytes=whole.recurrent_host_bytes,
        compute_host_bytes=whole.compute_host_bytes,
        projector_gpu_bytes=whole.projector_gpu_bytes,
    )
    return (replace(made[0], bill=host), *made[1:])


def dealt_out(blocks: int, free_bytes: Sequence[int]) -> list[int]:
    """How many of the blocks each card gets, in proportion to what is free there.

    The output layer is dealt out with them and counts on the last card, which therefore may get a
    block less.
    """
    total = sum(free_bytes)
    if total <= 0:
        return [0] * (len(free_bytes) - 1) + [blocks]
    bounds = [share / total for share in accumulate(free_bytes)]
    counts = [0] * len(free_bytes)
    for at in range(blocks):
        counts[min(bisect_right(bounds, at / (blocks + 1)), len(counts) - 1)] += 1
    return counts


def most_blocks_over(
    shape: Shape, plan: Plan, cards: Sequence[Card], *, mode: SplitMode = "layer"
) -> int:
    """The most blocks that fit over all cards with nothing of theirs spilling; 0 when none do."""

    def left(k: int) -> int:
        return min(
            share.card.free_bytes - share.bill.total_gpu_bytes - share.bill.margin_bytes
            for share in shares(shape, plan, cards, k, mode=mode)
        )

    k = last_not_negative(left, shape.layers)
    fitting = k and all(
        fits(one.bill, one.card) for one in shares(shape, plan, cards, k, mode=mode)
    )
    return k if fitting else 0


def over_all(shape: Shape, plan: Plan, cards: Sequence[Card], blocks_before: int) -> str:
    """What all cards together would hold, as a clause; empty when that is no more than before.

    Args:
        shape: the model.
        plan: everything but the layers.
        cards: that are here.
        blocks_before: on the GPU with one card.
    """
    if len(cards) < 2:
        return ""
    k = most_blocks_over(shape, plan, cards)
    if k <= blocks_before:
        return ""
    dealt = shares(shape, plan, cards, k)
    each = ", ".join(f"{one.blocks} on {one.card.name}" for one in dealt)
    return (
        f"--split-mode layer -ngl {k + 1}: over {len(cards)} cards"
        f" {k} of {shape.layers} layers fit; {each}"
    )


def _part(whole: Bill, cards: int) -> Bill:
    """A card's part of everything that is split by tensors."""

    def part(size: int) -> int:
        return -(-size // cards)

    return Bill(
        weights_gpu_bytes=part(whole.weights_gpu_bytes),
        kv_gpu_bytes=part(whole.kv_gpu_bytes),
        recurrent_gpu_bytes=part(whole.recurrent_gpu_bytes),
        compute_gpu_bytes=part(whole.compute_gpu_bytes),
        context_overhead_bytes=part(whole.context_overhead_bytes),
    )


def _layers(shape: Shape, plan: Plan, whole: Bill, blocks: Sequence[int]) -> list[Bill]:
    """A bill per card; what it has is the difference of two bills that end at its blocks."""
    cards = len(blocks)
    ends = [sum(blocks[at:]) for at in range(cards)]
    at_end = [bill(shape, plan, plan.context_tokens, k) for k in (*ends, 0)]
    made: list[Bill] = []
    for upper, lower in pairwise(at_end):
        is_last = lower is at_end[-1]
        output = lower.weights_gpu_bytes if is_last else 0
        made.append(
            Bill(
                weights_gpu_bytes=upper.weights_gpu_bytes - lower.weights_gpu_bytes + output,
                kv_gpu_bytes=upper.kv_gpu_bytes - lower.kv_gpu_bytes,
                recurrent_gpu_bytes=upper.recurrent_gpu_bytes - lower.recurrent_gpu_bytes,
                compute_gpu_bytes=-(-whole.compute_gpu_bytes // cards),
                context_overhead_bytes=-(-whole.context_overhead_bytes // cards),
            )
        )
    return made
