"""A verdict whose bill is not the formula's: the engine's own sizes, or what a load here took."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modeldeck.engines.fit.types import Bill, Card, Verdict, VerdictKind, VerdictSource
from modeldeck.engines.types import Plan
from modeldeck.engines.units import gib_number, gib_text

if TYPE_CHECKING:
    from modeldeck.engines.fit.search import Answer


def rebilled(
    verdict: Verdict, plan: Plan, bill: Bill, card: Card, source: VerdictSource
) -> Verdict:
    """The verdict with ``bill`` in place of its own: the same answer, or the one that it gives.

    Args:
        verdict: on ``plan``, with the number of blocks that the model has.
        plan: with its layers as llama.cpp counts them, never ``ALL_LAYERS``.
        bill: for exactly this plan, its margin included.
        card: what is free now.
        source: how the bill is known.
    """
    found = verdict._replace(source=source, bill=bill)
    short = _short(plan, bill, card)
    if short:
        reason = f"does not fit: the engine takes {short}"
        return found._replace(kind=VerdictKind.DOES_NOT_FIT, reason=reason)
    if verdict.kind is not VerdictKind.DOES_NOT_FIT:
        return found._replace(reason=_with_its_numbers(verdict, bill, card))
    where, taken_bytes = "on the GPU", bill.total_gpu_bytes + bill.margin_bytes
    if plan.gpu_layers == 0:
        where, taken_bytes = "of memory", bill.total_host_bytes
    return found._replace(
        kind=_kind(plan, verdict.layers),
        reason=f"fits after all: the engine takes {gib_text(taken_bytes)} {where}",
        gpu_layers=plan.gpu_layers,
        layers_gpu=min(max(0, plan.gpu_layers - 1), verdict.layers),
        cpu_moe_blocks=plan.cpu_moe_blocks,
    )


def answered(found: Answer, verdict: Verdict, card: Card) -> Answer:
    """The answer with another verdict on the same plan, and what its bill means for the card."""
    bill, on_gpu = verdict.bill, found.plan.gpu_layers > 0
    need_bytes = bill.total_gpu_bytes + found.options.margin_bytes if bill is not None else 0
    return replace(
        found,
        verdict=verdict,
        fits_now=not on_gpu or need_bytes <= card.free_bytes,
        fits_empty=not on_gpu or need_bytes <= card.usable_bytes,
    )


def _short(plan: Plan, bill: Bill, card: Card) -> str:
    """What is taken of a memory that has less, and what it has; empty when both have enough."""
    need_bytes, host_bytes = bill.total_gpu_bytes + bill.margin_bytes, bill.total_host_bytes
    if plan.gpu_layers > 0 and need_bytes > card.free_bytes:
        return f"{gib_text(need_bytes)}, there are {gib_number(card.free_bytes)} on the GPU"
    if host_bytes > card.ram_bytes:
        return f"{gib_text(host_bytes)} of memory, there are {gib_number(card.ram_bytes)} free"
    return ""


def _kind(plan: Plan, layers: int) -> VerdictKind:
    if plan.gpu_layers == 0:
        return VerdictKind.CPU_ONLY
    if plan.gpu_layers <= layers:
        return VerdictKind.FITS_PARTIAL
    return VerdictKind.FITS_EXPERTS_ON_CPU if plan.cpu_moe_blocks else VerdictKind.FITS


def _with_its_numbers(verdict: Verdict, bill: Bill, card: Card) -> str:
    """The verdict's sentence with the share that the new bill takes of the card, or of memory."""
    old = verdict.bill or bill
    if verdict.kind is VerdictKind.CPU_ONLY:
        before, after, of = old.total_host_bytes, bill.total_host_bytes, card.ram_bytes
    else:
        before, after, of = old.total_gpu_bytes, bill.total_gpu_bytes, card.free_bytes
    return verdict.reason.replace(
        f"{gib_number(before)} of {gib_text(of)}", f"{gib_number(after)} of {gib_text(of)}"
    )
