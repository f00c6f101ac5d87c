"""Where a model's blocks and experts go on one card, and how much context that leaves.

The order is llama.cpp's own (``common/fit.cpp``): everything on the GPU; else the experts of as
few blocks as will do on the CPU; else as many blocks on the GPU as fit; else none. Every search
rests on ``bill`` alone and on one fact: what leaves the GPU, or the context, never costs more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from modeldeck.engines.fit.drafting import whole_bill
from modeldeck.engines.fit.memory_lesson import corrected_bill
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.types import Bill, Card, Correction, Corrections
from modeldeck.engines.types import Plan

STEP_TOKENS: Final = 256
"""Contexts are looked for in multiples of this: llama.cpp rounds its cache up to them."""

_LONGEST_CONTEXT: Final = 1 << 20


class Case(NamedTuple):
    """One model, one plan, one card.

    Attributes:
        shape: the model.
        plan: everything but the number of layers.
        card: what is free.
        margin_bytes: to be kept free on the GPU; None for the usual.
        profile: the program that runs llama.cpp.
        brief: the answer alone is wanted, without the longest context and the rate.
    """

    shape: Shape
    plan: Plan
    card: Card
    margin_bytes: int | None = None
    profile: EngineProfile = LLAMA_SERVER
    brief: bool = False

    def price(self, blocks_on_gpu: int | None, context_tokens: int | None = None) -> Bill:
        """The bill with those blocks on the GPU (None: no GPU), usually at the plan's context."""
        context_tokens = context_tokens or self.plan.context_tokens
        terms = whole_bill(
            self.shape, self.plan, context_tokens, blocks_on_gpu, profile=self.profile
        )
        if self.card.learnt is not None:
            terms = corrected_bill(terms, self._correction(self.card.learnt, blocks_on_gpu))
        if self.margin_bytes is None or blocks_on_gpu is None:
            return terms
        return terms._replace(margin_bytes=self.margin_bytes)

    def _correction(self, learnt: Corrections, blocks_on_gpu: int | None) -> Correction | None:
        if blocks_on_gpu is None:
            return learnt.cpu
        whole = blocks_on_gpu == self.shape.layers and not self.plan.cpu_moe_blocks
        return learnt.gpu if whole else learnt.mixed

    def with_experts(self, blocks: int) -> Case:
        """The same with the experts of the first ``blocks`` on the CPU."""
        return self._replace(plan=self.plan._replace(cpu_moe_blocks=blocks))


def gpu_need(terms: Bill) -> int:
    """What must be free on the GPU: the total and the margin."""
    return terms.total_gpu_bytes + terms.margin_bytes


def fits(terms: Bill, card: Card) -> bool:
    """Both memories hold it, and the GPU keeps its margin."""
    return gpu_need(terms) <= card.free_bytes and terms.total_host_bytes <= card.ram_bytes


def most_blocks(case: Case) -> int:
    """The most blocks, short of all, for which the GPU has room; 0 when not even one has."""

    def left(k: int) -> int:
        return case.card.free_bytes - gpu_need(case.price(k))

    return last_not_negative(left, case.shape.layers - 1)


def fewest_cpu_experts(case: Case, blocks_on_gpu: int) -> int | None:
    """Of how few blocks the experts must be on the CPU for the GPU to hold those blocks' rest.

    None when there are no experts, or when the rest is still too much.
    """
    layers = case.shape.layers

    def left(kept: int) -> int:
        return case.card.free_bytes - gpu_need(
            case.with_experts(layers - kept).price(blocks_on_gpu)
        )

    if not has_experts(case) or left(0) < 0:
        return None
    return layers - last_not_negative(left, layers)


def has_experts(case: Case) -> bool:
    """Whether there are experts that could be on the CPU."""
    return case.shape.experts_gpu_bytes[-1:] > (0,)


def longest_context(case: Case, blocks_on_gpu: int | None) -> int:
    """The largest context that fits with those blocks on the GPU, capped at the trained one.

    A multiple of 256, or the cap itself; 0 when no context fits.
    """

    def left(steps: int) -> int:
        """Bytes to spare, on the GPU or in memory, whichever is scarcer."""
        terms = case.price(blocks_on_gpu, STEP_TOKENS * steps)
        free, ram = case.card.free_bytes, case.card.ram_bytes
        return min(free - gpu_need(terms), ram - terms.total_host_bytes)

    cap = case.shape.trained_context_tokens or _LONGEST_CONTEXT
    if fits(case.price(blocks_on_gpu, cap), case.card):
        return cap
    return STEP_TOKENS * last_not_negative(left, (cap - 1) // STEP_TOKENS)


def last_not_negative(falling: Callable[[int], int], last: int) -> int:
    """The largest n from 1 to ``last`` at which ``falling`` is not negative; 0 for none.

    Looks first where a straight line would cross zero: what contexts cost is nearly straight, so
    that it takes half the looks of a bisection. After eight it bisects, whatever the curve.
    """
    if last < 1 or (at_low := falling(1)) < 0:
        return 0
    if (at_high := falling(last)) >= 0:
        return last
    low, high = 1, last
    looks = 0
    while high - low > 1:
        looks += 1
        guess = low + (high - low) * at_low // (at_low - at_high)
        middle = (low + high) // 2 if looks > 8 else max(low + 1, min(guess, high - 1))
        value = falling(middle)
        if value >= 0:
            low, at_low = middle, value
        else:
            high, at_high = middle, value
    return low
