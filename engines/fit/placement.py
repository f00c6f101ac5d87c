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
from modeldeck.engines.fit.terms import MARGIN_BYTES
from modeldeck.engines.fit.types import Bill, Card, CardShare, Correction, Corrections
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
        cards = len(self.card.parts) or 1
        terms = whole_bill(
            self.shape, self.plan, context_tokens, blocks_on_gpu, profile=self.profile, cards=cards
        )
        if self.card.learnt is not None:
            terms = corrected_bill(terms, self._correction(self.card.learnt, blocks_on_gpu))
        if blocks_on_gpu is None or (self.margin_bytes is None and cards == 1):
            return terms
        return terms._replace(margin_bytes=self._margin_bytes * cards)

    @property
    def _margin_bytes(self) -> int:
        return MARGIN_BYTES if self.margin_bytes is None else self.margin_bytes

    def shares(
        self, blocks_on_gpu: int, context_tokens: int | None = None
    ) -> tuple[CardShare, ...]:
        """What each of several cards takes; none for one card."""
        if not self.card.parts:
            return ()
        from modeldeck.engines.fit.split import shares  # where there is one card: never

        plan = self.plan._replace(context_tokens=context_tokens or self.plan.context_tokens)
        return shares(
            self.shape,
            plan,
            self.card.parts,
            blocks_on_gpu,
            mode=plan.split.mode if plan.split is not None else "layer",
            margin_bytes=self._margin_bytes,
            profile=self.profile,
        )

    def spare(
        self, terms: Bill, blocks_on_gpu: int | None, context_tokens: int | None = None
    ) -> int:
        """Bytes that the plan of ``terms`` leaves of the GPU; of several the one it leaves least.

        Negative: what is missing.
        """
        if blocks_on_gpu is None or not self.card.parts:
            return self.card.free_bytes - gpu_need(terms)
        return min(one.spare_bytes for one in self.shares(blocks_on_gpu, context_tokens))

    def computing(self, blocks_on_gpu: int) -> list[tuple[Card, float]]:
        """The cards that compute, and which part of the GPU's work each does."""
        if self.plan.split is not None and self.plan.split.mode == "tensor":
            return []  # no law is known for putting the parts together again
        found = self.shares(blocks_on_gpu)
        total = sum(one.blocks for one in found)
        if not total:
            return [(self.card, 1.0)]
        return [(one.card, one.blocks / total) for one in found if one.blocks]

    def fits(self, terms: Bill, blocks_on_gpu: int | None) -> bool:
        """Both memories hold it, and every GPU keeps its margin."""
        in_memory = terms.total_host_bytes <= self.card.ram_bytes
        return in_memory and self.spare(terms, blocks_on_gpu) >= 0

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


def most_blocks(case: Case) -> int:
    """The most blocks, short of all, for which the GPU has room; 0 when not even one has."""

    def left(k: int) -> int:
        return case.spare(case.price(k), k)

    return last_not_negative(left, case.shape.layers - 1)


def fewest_cpu_experts(case: Case, blocks_on_gpu: int) -> int | None:
    """Of how few blocks the experts must be on the CPU for the GPU to hold those blocks' rest.

    None when there are no experts, or when the rest is still too much.
    """
    layers = case.shape.layers

    def left(kept: int) -> int:
        moved = case.with_experts(layers - kept)
        return moved.spare(moved.price(blocks_on_gpu), blocks_on_gpu)

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
        tokens = STEP_TOKENS * steps
        terms = case.price(blocks_on_gpu, tokens)
        in_memory = case.card.ram_bytes - terms.total_host_bytes
        return min(case.spare(terms, blocks_on_gpu, tokens), in_memory)

    cap = case.shape.trained_context_tokens or _LONGEST_CONTEXT
    at_cap = case._replace(plan=case.plan._replace(context_tokens=cap))
    if at_cap.fits(at_cap.price(blocks_on_gpu), blocks_on_gpu):
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
