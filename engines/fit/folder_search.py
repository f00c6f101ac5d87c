"""The answer for engines that load folders of safetensors: all of it on the GPU, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from modeldeck.engines.fit.folders import (
    Exl2Cache,
    exllama_v2_bill,
    exllama_v3_bill,
    transformers_bill,
)
from modeldeck.engines.fit.kept import Kept
from modeldeck.engines.fit.paged import SGLANG, VLLM, PagedProfile, paged_room
from modeldeck.engines.fit.placement import STEP_TOKENS, gpu_need, last_not_negative
from modeldeck.engines.fit.terms import MARGIN_BYTES
from modeldeck.engines.fit.types import Bill, Card, Verdict, VerdictKind
from modeldeck.engines.types import KvType, Plan
from modeldeck.engines.units import gib_number, gib_text, tokens_text

_LONGEST_CONTEXT: Final = 1 << 20
_EXL2_CACHES: Final[dict[KvType, Exl2Cache]] = {"f16": "fp16", "q8_0": "q8", "q4_0": "q4"}
_EXL3_BITS: Final[dict[KvType, int]] = {"f16": 16, "q8_0": 8, "q5_0": 5, "q4_0": 4}
_TENSOR_PARALLEL: Final = frozenset({"vllm", "sglang", "exllamav2", "exllamav3"})
_PAGED: Final = {"vllm": VLLM, "sglang": SGLANG}


def folder_refusal(engine: str, plan: Plan) -> str:
    """Why an engine cannot run a plan, as a clause; empty when it can."""
    caches: dict[str, set[KvType]] = {
        "exllamav2": set(_EXL2_CACHES),
        "exllamav3": set(_EXL3_BITS),
    }
    known = caches.get(engine, {"f16", "bf16"})
    if plan.kv_type not in known:
        return f"{engine} has no {plan.kv_type} cache; it has {', '.join(sorted(known))}"
    return ""


def judge_folder(
    model: Kept, plan: Plan, card: Card, engine: str, margin_bytes: int = MARGIN_BYTES
) -> Verdict:
    """Whether ``engine`` holds the model and the plan's context on the card.

    Of several cards the roomiest alone is taken if it holds all; else each has a part of every
    tensor, where the engine can do that: as many as divide the model's heads.

    Args:
        model: what it keeps.
        plan: its context, cache type and slots count.
        card: what is free.
        engine: adapter name of an engine for folders.
        margin_bytes: to be kept free.
    """
    refused = folder_refusal(engine, plan)
    if refused:
        return Verdict(VerdictKind.CANNOT_RUN, "closed-form", f"cannot run: {refused}")

    def judged(model: Kept, card: Card) -> Verdict:
        return _judged(model, plan, card, engine, margin_bytes)

    if not card.parts:
        return judged(model, card)
    from modeldeck.engines.fit.folder_split import judge_split  # where there is one card: never

    return judge_split(model, card, judged, shares_tensors=engine in _TENSOR_PARALLEL)


def _judged(model: Kept, plan: Plan, card: Card, engine: str, margin_bytes: int) -> Verdict:

    def left(context_tokens: int) -> int:
        missing, terms = _priced(model, plan, card, engine, context_tokens)
        room = card.free_bytes - gpu_need(terms._replace(margin_bytes=margin_bytes))
        return min(room, -missing) if missing else room

    missing, terms = _priced(model, plan, card, engine, plan.context_tokens)
    bill = terms._replace(margin_bytes=margin_bytes)
    longest = longest_folder_context(left, model.trained_context_tokens)
    used = f"{gib_number(bill.total_gpu_bytes)} of {gib_text(card.free_bytes)}"
    if left(plan.context_tokens) < 0:
        needs = gib_text(gpu_need(bill) + missing)
        reason = f"does not fit: {engine} needs {needs}, there are {gib_text(card.free_bytes)}"
        return Verdict(
            VerdictKind.DOES_NOT_FIT,
            "closed-form",
            reason,
            bill,
            layers=model.layers,
            max_context_tokens=longest,
        )
    reason = f"fits: {used} with {tokens_text(plan.context_tokens)} context"
    if engine in _PAGED:
        profile = _paged(engine, plan)
        room = paged_room(model, plan.context_tokens, card.usable_bytes, card.free_bytes, profile)
        reason = (
            f"fits: a cache of {room.tokens} tokens, {room.requests:.1f} requests of "
            f"{tokens_text(plan.context_tokens)} at once"
        )
    return Verdict(
        VerdictKind.FITS,
        "closed-form",
        reason,
        bill,
        layers_gpu=model.layers,
        layers=model.layers,
        gpu_layers=model.layers + 1,
        max_context_tokens=longest,
    )


def longest_folder_context(left: Callable[[int], int], trained_context_tokens: int) -> int:
    """The largest context at which ``left`` is not negative: a multiple of 256, or the cap."""
    cap = trained_context_tokens or _LONGEST_CONTEXT
    if left(cap) >= 0:
        return cap
    steps = last_not_negative(lambda n: left(n * STEP_TOKENS), (cap - 1) // STEP_TOKENS)
    return STEP_TOKENS * steps


def _priced(
    model: Kept, plan: Plan, card: Card, engine: str, context_tokens: int
) -> tuple[int, Bill]:
    """What a paged server is short of for one request, and the bill."""
    if engine in _PAGED:
        profile = _paged(engine, plan)
        room = paged_room(model, context_tokens, card.usable_bytes, card.free_bytes, profile)
        return room.missing_bytes, room.bill
    if engine == "exllamav2":
        return 0, exllama_v2_bill(model, context_tokens, _EXL2_CACHES[plan.kv_type])
    if engine == "exllamav3":
        bits = _EXL3_BITS[plan.kv_type]
        return 0, exllama_v3_bill(model, context_tokens, bits, bits, plan.slots)
    return 0, transformers_bill(model, context_tokens)


def _paged(engine: str, plan: Plan) -> PagedProfile:
    """With the plan's slots where there are several; one leaves their number to the engine."""
    profile = _PAGED[engine]
    return replace(profile, sequences=plan.slots) if plan.slots > 1 else profile
