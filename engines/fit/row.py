"""The verdict on a row of the list: for the engine its format runs by, on the card judged for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeldeck.engines.fit.companions import ALONE, Companions
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.types import Card, Verdict, VerdictKind
from modeldeck.engines.fit.verdict import judge_found, not_judged
from modeldeck.engines.types import ModelFormat, Plan

if TYPE_CHECKING:
    from modeldeck.engines.fit.kept import Kept
    from modeldeck.engines.fit.way import Way


def judge_file(
    shape: Shape | Unjudged,
    plan: Plan,
    card: Card,
    way: Way,
    companions: Companions = ALONE,
    *,
    brief: bool = False,
) -> Verdict:
    """A model that llama.cpp loads; on a card too old for it, with the CPU alone."""
    if not way.too_old:
        return judge_found(shape, plan, card, companions, brief=brief)
    on_cpu = plan._replace(gpu_layers=0)
    verdict = judge_found(shape, on_cpu, card, companions, brief=brief)
    return verdict._replace(reason=f"{verdict.reason}; {way.too_old}")


def judge_kept(kept: Kept | Unjudged, plan: Plan, card: Card, way: Way) -> Verdict:
    """A model of an engine for folders; with a 16-bit cache where that has no other."""
    from modeldeck.engines.fit.folder_search import folder_refusal, judge_folder

    if way.too_old:
        reason = f"cannot run here: {way.too_old}"
        return Verdict(VerdictKind.CANNOT_RUN, "closed-form", reason)
    if isinstance(kept, Unjudged):
        return not_judged(kept.why)
    refused = folder_refusal(way.engine, plan)
    verdict = judge_folder(
        kept, plan._replace(kv_type="f16") if refused else plan, card, way.engine
    )
    notes = [verdict.reason, *(["the cache is of 16 bits"] if refused else []), way.note]
    return verdict._replace(reason="; ".join(filter(None, notes)))


def without_engine(model_format: ModelFormat, way: Way, would: Verdict | None) -> Verdict:
    """It cannot run here; with what ``way``'s engine would say where that is known.

    Args:
        model_format: that no engine here reads.
        way: the engine that would run it.
        would: that engine's verdict; None when no engine is known.
    """
    missing = f"cannot run here: no engine for {model_format.written}"
    if would is None:
        return Verdict(VerdictKind.CANNOT_RUN, "policy", missing)
    if way.too_old:
        return Verdict(VerdictKind.CANNOT_RUN, "policy", f"{missing}, and {way.too_old}")
    return Verdict(
        VerdictKind.CANNOT_RUN,
        "policy",
        f"{missing}; with {way.engine}: {would.reason}",
        would.bill,
        layers=would.layers,
    )
