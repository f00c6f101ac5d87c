"""One model over several cards: whole layers on each, or a part of every tensor; a bill per card.

Layers go as llama.cpp puts them (``llama-model.cpp``, ``load_tensors``): the blocks on the GPU and
the output layer are dealt out in order, in proportion to what is given for each card
(``--tensor-split``). With tensors split each card holds its part of every matrix and of every
head's cache. Each card has its own compute buffers and CUDA context either way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Final

from modeldeck.engines.fit.drafting import whole_bill
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.terms import MARGIN_BYTES
from modeldeck.engines.fit.types import Bill, Card, CardShare
from modeldeck.engines.types import Plan, Split, SplitMode

_TRIES: Final = 64


def shares(
    shape: Shape,
    plan: Plan,
    cards: Sequence[Card],
    blocks_on_gpu: int,
    *,
    mode: SplitMode = "layer",
    margin_bytes: int = MARGIN_BYTES,
    profile: EngineProfile = LLAMA_SERVER,
) -> tuple[CardShare, ...]:
    """What each card takes of the last ``blocks_on_gpu`` blocks and the output layer.

    Layers are dealt out by the plan's split if it has one, else so that no card is the tightest
    that need not be.

    Args:
        shape: the model.
        plan: everything but the layers.
        cards: in the engine's order; at least one.
        blocks_on_gpu: over all cards.
        mode: whole layers, or a part of every tensor.
        margin_bytes: to be kept free on each card.
        profile: the program that runs llama.cpp.
    """
    context = plan.context_tokens
    whole = whole_bill(shape, plan, context, blocks_on_gpu, profile=profile, cards=len(cards))
    if mode == "tensor":
        blocks = [blocks_on_gpu] * len(cards)
        parts = [_part(whole, len(cards))] * len(cards)
        return _with_host(whole, cards, blocks, parts, margin_bytes)

    def dealt(counts: Sequence[int]) -> tuple[CardShare, ...]:
        parts = _layers(shape, plan, whole, counts, profile)
        return _with_host(whole, cards, counts, parts, margin_bytes)

    if plan.split is not None and len(plan.split.shares) == len(cards):
        return dealt(dealt_out(blocks_on_gpu, plan.split.shares))
    return _eased(dealt, dealt_out(blocks_on_gpu, [card.free_bytes for card in cards]))


def split_of(found: Sequence[CardShare], mode: SplitMode) -> Split:
    """How these shares are asked for."""
    if mode == "tensor":
        return Split(mode, (1,) * len(found))
    last = _output_at([one.blocks for one in found])
    return Split(mode, tuple(one.blocks + (at == last) for at, one in enumerate(found)))


def dealt_out(blocks: int, proportions: Sequence[int]) -> list[int]:
    """How many of the blocks each card gets, as llama.cpp deals them out.

    The output layer is dealt out with them and counts on the last card, which therefore may get a
    block less.
    """
    total = sum(proportions)
    if total <= 0:
        return [0] * (len(proportions) - 1) + [blocks]
    bounds = [share / total for share in accumulate(proportions)]
    counts = [0] * len(proportions)
    for at in range(blocks):
        counts[min(bisect_right(bounds, at / (blocks + 1)), len(counts) - 1)] += 1
    return counts


def _output_at(blocks: Sequence[int]) -> int:
    """Which card has the output layer: the last that has a block."""
    return max((at for at, count in enumerate(blocks) if count), default=len(blocks) - 1)


def _eased(
    dealt: Callable[[Sequence[int]], tuple[CardShare, ...]], counts: list[int]
) -> tuple[CardShare, ...]:
    """Shares from which block after block goes from the tightest card to the loosest.

    It ends when every card has room, or when that helps no more.
    """
    best = dealt(counts)
    for _ in range(_TRIES):
        spare = [one.spare_bytes for one in best]
        tightest, loosest = spare.index(min(spare)), spare.index(max(spare))
        if spare[tightest] >= 0 or not counts[tightest] or tightest == loosest:
            break
        counts = list(counts)
        counts[tightest] -= 1
        counts[loosest] += 1
        other = dealt(counts)
        if min(one.spare_bytes for one in other) <= spare[tightest]:
            break
        best = other
    return best


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
        lora_bytes=part(whole.lora_bytes),
    )


def _layers(
    shape: Shape, plan: Plan, whole: Bill, blocks: Sequence[int], profile: EngineProfile
) -> list[Bill]:
    """A bill per card; what it has is the difference of two bills that end at its blocks."""
    cards, output_at = len(blocks), _output_at(blocks)
    ends = [sum(blocks[at:]) for at in range(cards)]
    bills = [whole_bill(shape, plan, plan.context_tokens, k, profile=profile) for k in (*ends, 0)]
    made: list[Bill] = []
    for at, (upper, lower) in enumerate(pairwise(bills)):
        output = bills[-1] if at == output_at else Bill()
        made.append(
            Bill(
                weights_gpu_bytes=upper.weights_gpu_bytes
                - lower.weights_gpu_bytes
                + output.weights_gpu_bytes,
                kv_gpu_bytes=upper.kv_gpu_bytes - lower.kv_gpu_bytes,
                recurrent_gpu_bytes=upper.recurrent_gpu_bytes - lower.recurrent_gpu_bytes,
                compute_gpu_bytes=-(-whole.compute_gpu_bytes // cards),
                context_overhead_bytes=-(-whole.context_overhead_bytes // cards),
                lora_bytes=upper.lora_bytes - lower.lora_bytes + output.lora_bytes,
            )
        )
    return made


def _with_host(
    whole: Bill,
    cards: Sequence[Card],
    blocks: Sequence[int],
    parts: Sequence[Bill],
    margin_bytes: int,
) -> tuple[CardShare, ...]:
    """The shares; the host's part, the projector and what drafts are on the first card's bill."""
    first, *others = (
        CardShare(card, count, part._replace(margin_bytes=margin_bytes))
        for card, count, part in zip(cards, blocks, parts, strict=True)
    )
    bill = first.bill._replace(
        weights_host_bytes=whole.weights_host_bytes,
        kv_host_bytes=whole.kv_host_bytes,
        recurrent_host_bytes=whole.recurrent_host_bytes,
        compute_host_bytes=whole.compute_host_bytes,
        projector_gpu_bytes=whole.projector_gpu_bytes,
        projector_host_bytes=whole.projector_host_bytes,
        lora_host_bytes=whole.lora_host_bytes,
        draft_bytes=whole.draft_bytes,
        draft_host_bytes=whole.draft_host_bytes,
    )
    return (first._replace(bill=bill), *others)
