"""What a failed load was short of in words, and the settings nearest to it that fit. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from modeldeck.engines.fit.companions import ALONE, Companions
from modeldeck.engines.fit.types import WHOLE_ON_GPU, Card, Verdict, VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.out_of_memory import Shortage
from modeldeck.engines.types import ALL_LAYERS, KvType, ModelHeader, Plan
from modeldeck.engines.units import MIB, gib_text, tokens_text

_LEAST_CONTEXT: Final = 2048
_CHEAPER_KV: Final[dict[KvType, KvType]] = {
    "f32": "f16",
    "f16": "q8_0",
    "bf16": "q8_0",
    "q8_0": "q4_0",
}
_ON_GPU: Final = WHOLE_ON_GPU | {VerdictKind.FITS_PARTIAL}
_ON_CPU: Final = frozenset({VerdictKind.CPU_ONLY})


@dataclass(frozen=True, slots=True)
class Rescue:
    """A plan that fits, what it changes in words, and its verdict."""

    plan: Plan
    change: str
    verdict: Verdict


def rescues(
    header: ModelHeader, plan: Plan, card: Card, companions: Companions = ALONE
) -> tuple[Rescue, ...]:
    """At most three changes of ``plan`` that fit ``card``, the least costly first.

    A change keeps everything on the GPU where one can: a cheaper cache, a smaller context, a
    smaller micro-batch; fewer layers on the GPU come after those.

    Args:
        header: the model.
        plan: what failed.
        card: with what was free when it failed.
        companions: what is loaded with it.
    """
    found: list[Rescue] = []
    for change, candidate, wanted in _candidates(plan):
        verdict = judge(header, candidate, card, companions)
        if verdict.kind not in wanted:
            continue
        if candidate.gpu_layers == ALL_LAYERS and verdict.kind is VerdictKind.FITS_PARTIAL:
            candidate = candidate._replace(gpu_layers=verdict.gpu_layers)
            change = f"{verdict.layers_gpu} of {verdict.layers} layers on the GPU"
        if all(rescue.plan != candidate for rescue in found):
            found.append(Rescue(candidate, change, verdict))
    return tuple(found[:3])


def _candidates(plan: Plan) -> Iterator[tuple[str, Plan, frozenset[VerdictKind]]]:
    """Changes from the least to the most costly, with the verdicts that make one worth it."""
    fits = WHOLE_ON_GPU if plan.gpu_layers else _ON_CPU
    cheaper = _CHEAPER_KV.get(plan.kv_type) if plan.flash_attention else None
    if cheaper:
        yield f"KV cache {cheaper}", plan._replace(kv_type=cheaper), fits
    context = plan.context_tokens // 2
    while context >= _LEAST_CONTEXT:
        yield f"context {tokens_text(context)}", plan._replace(context_tokens=context), fits
        context //= 2
    if plan.draft is not None:
        yield "no draft", plan._replace(draft=None), fits
    if plan.micro_batch_tokens > 128:
        yield "micro-batch 128", plan._replace(micro_batch_tokens=128), fits
    if cheaper and plan.context_tokens // 2 >= _LEAST_CONTEXT:
        half = plan.context_tokens // 2
        both = plan._replace(kv_type=cheaper, context_tokens=half)
        yield f"context {tokens_text(half)}, KV cache {cheaper}", both, fits
    if plan.gpu_layers:
        yield "fewer layers on the GPU", plan._replace(gpu_layers=ALL_LAYERS), _ON_GPU
        yield "CPU only", plan._replace(gpu_layers=0), _ON_CPU


def autopsy(shortage: Shortage, card: Card, need_bytes: int) -> str:
    """One sentence: which buffer, of which memory, and how much was missing.

    Args:
        shortage: what the log says.
        card: with what was free when it failed.
        need_bytes: what the plan takes of the memory that ran out, by the bill.
    """
    missing = need_bytes - (card.ram_bytes if shortage.on_host else card.free_bytes)
    asked = f" of {gib_text(shortage.asked_bytes)}" if shortage.asked_bytes else ""
    short = f", about {-(-missing // MIB)} MiB short" if missing > 0 else ""
    whose = "the host's memory" if shortage.on_host else "memory"
    return f"{whose} ran out for {shortage.what}{asked}{short}"
