"""A verdict from the engine's own sizes alone, for models that no formula describes.

The engine is asked about one plan after the other, as a person would: all layers on the GPU, else
as many as fit, else none. Each question takes some hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from modeldeck.engines.fit.dry_run import HOST, STAND_IN, DeviceSizes
from modeldeck.engines.fit.profiles import EngineProfile
from modeldeck.engines.fit.types import Bill, Card, Verdict, VerdictKind, VerdictSource
from modeldeck.engines.types import ALL_LAYERS, Plan
from modeldeck.engines.units import KIB, MIB, gib_number, gib_text, tokens_text

Ask = Callable[[Plan], Sequence[DeviceSizes]]
"""Sizes for a plan with its layers given; raises ModeldeckError where the engine has none."""

_STEP_TOKENS: Final = KIB


class Placed(NamedTuple):
    """A verdict and the plan it is for."""

    verdict: Verdict
    plan: Plan


def judged_by_sizes(
    plan: Plan,
    blocks: int,
    trained_tokens: int,
    card: Card,
    ask: Ask,
    profile: EngineProfile,
    margin_bytes: int,
) -> Placed | None:
    """The verdict that the engine's sizes give; None where they say nothing of this card.

    Args:
        plan: of the load; its layers are planned where they are ``ALL_LAYERS``.
        blocks: of the model.
        trained_tokens: the longest context of the model; 0 where it does not say.
        card: what is free.
        ask: the engine.
        profile: of the engine.
        margin_bytes: to be kept free on the GPU.

    Raises:
        ModeldeckError: the engine does not take the model, or cannot be asked.
    """
    judge = _Judge(plan, card, ask, profile, margin_bytes)
    wanted = blocks + 1 if plan.gpu_layers >= ALL_LAYERS else min(plan.gpu_layers, blocks + 1)
    found = judge.priced(plan.context_tokens, wanted)
    if found is None:
        return None
    if plan.gpu_layers < ALL_LAYERS or judge.fits(found):
        layers, bill = wanted, found
    else:
        layers, bill = judge.most_layers(wanted, found)
    longest = judge.longest_context(layers, trained_tokens) if judge.fits(bill) else 0
    taken = plan._replace(gpu_layers=layers)
    return Placed(_verdict(taken, blocks, bill, card, judge, longest), taken)


class _Judge:
    """Asks about plans, and holds what they take against the card."""

    def __init__(
        self, plan: Plan, card: Card, ask: Ask, profile: EngineProfile, margin_bytes: int
    ) -> None:
        self.source: VerdictSource = "engine"
        self._plan = plan
        self._card = card
        self._ask = ask
        self._profile = profile
        self._margin_bytes = margin_bytes

    def priced(self, context_tokens: int, layers: int) -> Bill | None:
        """What that takes; None where the engine has no device for the layers on the GPU."""
        asked = self._plan._replace(context_tokens=context_tokens, gpu_layers=layers)
        sizes = self._ask(asked)
        devices = [one for one in sizes if one.name != HOST]
        if layers and not devices:
            return None
        if layers and all(one.name == STAND_IN for one in devices):
            self.source = "closed-form"
        host = [one for one in sizes if one.name == HOST]
        return Bill(
            weights_gpu_bytes=_up(one.weights_bytes for one in devices),
            weights_host_bytes=_up(one.weights_bytes for one in host),
            kv_gpu_bytes=_up(one.cache_bytes for one in devices),
            kv_host_bytes=_up(one.cache_bytes for one in host),
            compute_gpu_bytes=_up(one.compute_bytes for one in devices),
            compute_host_bytes=_up(one.compute_bytes for one in host),
            context_overhead_bytes=self._profile.context_overhead_bytes if layers else 0,
            margin_bytes=self._margin_bytes if layers else 0,
        )

    def fits(self, bill: Bill) -> bool:
        """On the card, with the margin, and in memory."""
        on_gpu = bill.total_gpu_bytes + bill.margin_bytes if bill.total_gpu_bytes else 0
        return on_gpu <= self._card.free_bytes and bill.total_host_bytes <= self._card.ram_bytes

    def most_layers(self, all_layers: int, full: Bill) -> tuple[int, Bill]:
        """As many as fit, and what they take; all of them where not even none fits."""
        best: tuple[int, Bill] | None = None
        low, high = 0, all_layers - 1
        while low <= high:
            middle = (low + high) // 2
            bill = self.priced(self._plan.context_tokens, middle)
            if bill is not None and self.fits(bill):
                best, low = (middle, bill), middle + 1
            else:
                high = middle - 1
        return best or (all_layers, full)

    def longest_context(self, layers: int, trained_tokens: int) -> int:
        """The longest context that fits with so many layers, in whole KiB of tokens."""
        low = self._plan.context_tokens // _STEP_TOKENS
        high = max(low, trained_tokens // _STEP_TOKENS)
        while low < high:
            middle = (low + high + 1) // 2
            bill = self.priced(middle * _STEP_TOKENS, layers)
            if bill is not None and self.fits(bill):
                low = middle
            else:
                high = middle - 1
        return max(low * _STEP_TOKENS, self._plan.context_tokens)


def _verdict(
    plan: Plan, blocks: int, bill: Bill, card: Card, judge: _Judge, longest: int
) -> Verdict:
    on_gpu, context = min(max(0, plan.gpu_layers - 1), blocks), tokens_text(plan.context_tokens)
    used = f"{gib_number(bill.total_gpu_bytes)} of {gib_text(card.free_bytes)}"
    if not judge.fits(bill):
        kind = VerdictKind.DOES_NOT_FIT
        need = gib_text(bill.total_gpu_bytes + bill.margin_bytes + bill.total_host_bytes)
        there = (
            f"{gib_number(card.free_bytes)} on the GPU and {gib_number(card.ram_bytes)} in memory"
        )
        reason = f"does not fit: needs {need}, there are {there}"
    elif plan.gpu_layers > blocks:
        kind, reason = VerdictKind.FITS, f"fits: {used} with {context} context"
    elif plan.gpu_layers:
        kind = VerdictKind.FITS_PARTIAL
        reason = f"{on_gpu} of {blocks} layers on the GPU: {used}"
    else:
        kind = VerdictKind.CPU_ONLY
        memory = f"{gib_number(bill.total_host_bytes)} of {gib_text(card.ram_bytes)}"
        reason = f"CPU only: {memory} memory with {context} context"
    proof = "" if judge.source == "engine" else "llama.cpp sized it, compute by CUDA's rules"
    return Verdict(
        kind,
        judge.source,
        reason,
        bill,
        layers=blocks,
        layers_gpu=on_gpu,
        gpu_layers=plan.gpu_layers,
        max_context_tokens=longest,
        proof=proof,
    )


def _up(sizes: Iterable[int]) -> int:
    """llama.cpp prints whole MiB and drops the rest: what it says, and at most one MiB more."""
    total = sum(sizes)
    return total + MIB if total else 0
