"""From what the user gave to one whole plan, its verdict and its largest context.

What is given is never changed: the bill is for exactly that, also when it does not fit. What is not
given is planned, in this order, the first that fits being taken:

1. the usual context, an f16 cache, micro-batches of 512, one slot, everything on the GPU;
2. the same with less context, 4096 at least: speed is lost by anything that leaves the GPU;
3. the experts of as few blocks as will do on the CPU, with the usual context;
4. as many blocks on the GPU as fit; then the CPU alone.

The cache's type is never lowered unasked: that costs quality, so it is only advised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from modeldeck.engines.fit.companions import (
    ALONE,
    Companions,
    refused_companions,
    unjudged_companions,
    with_companions,
)
from modeldeck.engines.fit.folder_search import judge_folder
from modeldeck.engines.fit.kept import kept_of
from modeldeck.engines.fit.options import FitOptions, cannot_load, usual_engine
from modeldeck.engines.fit.placement import Case, fewest_cpu_experts, gpu_need, longest_context
from modeldeck.engines.fit.profiles import LLAMA_SERVER, PROFILES, EngineProfile
from modeldeck.engines.fit.runnable import CannotRun, Runs, runnable
from modeldeck.engines.fit.several import card_of_split, emptied
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import flash_attention_on_cuda, refusal
from modeldeck.engines.fit.types import Bill, Card, Verdict, VerdictKind
from modeldeck.engines.fit.verdict import judge_shape, not_judged
from modeldeck.engines.types import ALL_LAYERS, ModelFormat, ModelHeader, Plan

USUAL_CONTEXT_TOKENS: Final = 8192
LEAST_PLANNED_TOKENS: Final = 4096
"""No context is planned below this; a smaller one must be asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes out of a search.

    Attributes:
        options: what was given.
        engine: that would run it.
        plan: exactly what was judged; its layers as llama.cpp counts, never ``ALL_LAYERS``.
        verdict: on that plan, for what is free now.
        fits_now: total and margin are free now.
        fits_empty: total and margin would be free on an empty card.
        max_context_tokens: largest context with the layers and experts where the plan has them;
            0 when nothing fits; None when not judged.
        shape: None when not judged.
    """

    options: FitOptions
    engine: str
    plan: Plan
    verdict: Verdict
    fits_now: bool
    fits_empty: bool
    max_context_tokens: int | None
    shape: Shape | None


def answer(
    header: ModelHeader,
    options: FitOptions,
    card: Card,
    *,
    usual_context_tokens: int = USUAL_CONTEXT_TOKENS,
    model_format: ModelFormat = ModelFormat.GGUF,
    companions: Companions = ALONE,
    shape: Shape | Unjudged | None = None,
) -> Answer:
    """The best plan for ``header`` within ``options`` on ``card``. Never raises.

    Args:
        header: the model.
        options: what was given; None in them is planned.
        card: what is free now.
        usual_context_tokens: to start from when no context is given; the settings'.
        model_format: how the model is stored.
        companions: what is loaded with it.
        shape: of the header, where it is at hand.
    """
    engine = options.engine or usual_engine(model_format)
    profile = PROFILES.get(engine, LLAMA_SERVER)
    trained = header.context_length if header.context_length > 0 else usual_context_tokens
    plan = _first_plan(options, max(1, min(usual_context_tokens, trained)), profile)
    refused = (
        cannot_load(engine, model_format)
        or _too_old(engine, model_format, card)
        or (engine in PROFILES and refused_companions(header, engine, options, companions))
    )
    if refused:
        reason = f"cannot run: {refused}"
        verdict = Verdict(VerdictKind.CANNOT_RUN, "closed-form", reason)
        return Answer(options, engine, plan, verdict, False, False, 0, None)
    if unjudged := unjudged_companions(engine, options):
        return Answer(options, engine, plan, not_judged(unjudged), False, False, None, None)
    if engine not in PROFILES:
        found_folder = _folder_answer(header, options, card, engine, plan)
        return _noted(found_folder, runnable(model_format, engine, card))
    found = shape_of(header) if shape is None else shape
    shape = found if isinstance(found, Unjudged) else with_companions(found, companions)
    if isinstance(shape, Unjudged):
        return Answer(options, engine, plan, not_judged(shape.why), False, False, None, None)
    if options.flash_attention is None and not _flash_works(shape, plan, options):
        plan = plan._replace(flash_attention=False)
    if options.gpu_layers is not None:
        layers = min(options.gpu_layers, shape.layers + 1)
        plan = plan._replace(gpu_layers=layers)
    verdict = _judge(shape, plan, options, card, profile)
    if verdict.kind is not VerdictKind.FITS and options.context_tokens is None:
        less = _with_less_context(shape, plan, options, card, profile)
        if less is not None:
            plan, verdict = less
    if options.gpu_layers is None:
        # A plan that does not fit was priced with everything on the GPU.
        runs = verdict.kind is not VerdictKind.DOES_NOT_FIT
        plan = plan._replace(gpu_layers=verdict.gpu_layers if runs else shape.layers + 1)
    if options.cpu_moe_blocks is None:
        plan = plan._replace(cpu_moe_blocks=verdict.cpu_moe_blocks)
    plan = plan._replace(split=verdict.split)
    return _answered(options, engine, shape, plan, verdict, card, profile)


def _too_old(engine: str, model_format: ModelFormat, card: Card) -> str:
    """Why this card does not run the format with that engine, as a clause; empty when it does."""
    here = runnable(model_format, engine, card)
    return here.reason if isinstance(here, CannotRun) else ""


def _noted(found: Answer, here: Runs | CannotRun) -> Answer:
    """The answer with what is different on this card (weight-only, say) in its reason."""
    verdict = found.verdict
    if isinstance(here, CannotRun) or not here.note or verdict.bill is None:
        return found
    return replace(found, verdict=verdict._replace(reason=f"{verdict.reason}; {here.written}"))


def _folder_answer(
    header: ModelHeader, options: FitOptions, card: Card, engine: str, plan: Plan
) -> Answer:
    """An engine that is not llama.cpp: everything is on the GPU, and only the context can give."""
    kept = kept_of(header)
    if isinstance(kept, Unjudged):
        return Answer(options, engine, plan, not_judged(kept.why), False, False, None, None)
    layers = kept.layers
    fewer = options.gpu_layers is not None and options.gpu_layers <= layers
    if fewer or options.cpu_moe_blocks:
        reason = f"cannot run: {engine} has all layers on the GPU, whatever --ngl or --n-cpu-moe"
        verdict = Verdict(VerdictKind.CANNOT_RUN, "closed-form", reason, layers=layers)
        return Answer(options, engine, plan, verdict, False, False, 0, None)
    plan = plan._replace(gpu_layers=layers + 1)

    def judged(plan: Plan) -> Verdict:
        return judge_folder(kept, plan, card, engine, options.margin_bytes)

    verdict = judged(plan)
    longest = verdict.max_context_tokens or 0
    if (
        verdict.kind is VerdictKind.DOES_NOT_FIT
        and options.context_tokens is None
        and LEAST_PLANNED_TOKENS <= longest < plan.context_tokens
    ):
        plan = plan._replace(context_tokens=longest)
        verdict = judged(plan)
    plan = plan._replace(split=verdict.split)
    now, empty = (_holds(verdict, one) for one in (card, emptied(card)))
    return Answer(options, engine, plan, verdict, now, empty, longest, None)


def _holds(verdict: Verdict, card: Card) -> bool:
    """Whether a folder's bill has room; where tensors are split on each card."""
    if verdict.bill is None:
        return False
    if not verdict.shares:
        return gpu_need(verdict.bill) <= card_of_split(card, verdict.split).free_bytes
    pairs = zip(verdict.shares, card.parts, strict=True)
    return all(gpu_need(share.bill) <= part.free_bytes for share, part in pairs)


def _first_plan(options: FitOptions, usual_context_tokens: int, profile: EngineProfile) -> Plan:
    usual = Plan(
        context_tokens=usual_context_tokens, slots=profile.slots, swa_full=profile.swa_full
    )
    return options.over(usual)._replace(gpu_layers=ALL_LAYERS)


def _flash_works(shape: Shape, plan: Plan, options: FitOptions) -> bool:
    """Whether to leave it on: a kernel is there, or it runs on the CPU, or the cache needs it."""
    needed = options.gpu_layers == 0 or refusal(shape, plan._replace(flash_attention=False))
    return flash_attention_on_cuda(shape) or bool(needed)


def _judge(
    shape: Shape, plan: Plan, options: FitOptions, card: Card, profile: EngineProfile
) -> Verdict:
    """The verdict on a plan; experts move to the CPU only where nobody said how many."""
    keep, margin = options.cpu_moe_blocks is not None, options.margin_bytes

    def judged(plan: Plan, *, keep: bool) -> Verdict:
        return judge_shape(
            shape, plan, card, margin_bytes=margin, keep_experts=keep, profile=profile
        )

    verdict = judged(plan, keep=keep)
    if verdict.kind is VerdictKind.DOES_NOT_FIT and 0 < plan.gpu_layers < ALL_LAYERS and not keep:
        # The layers are the user's word; where their experts go is not.
        case = Case(shape, plan, card, margin, profile)
        fewest = fewest_cpu_experts(case, min(plan.gpu_layers - 1, shape.layers))
        if fewest is not None:
            moved = judged(plan._replace(cpu_moe_blocks=fewest), keep=True)
            if moved.kind is not VerdictKind.DOES_NOT_FIT:
                return moved
    return verdict


def _with_less_context(
    shape: Shape, plan: Plan, options: FitOptions, card: Card, profile: EngineProfile
) -> tuple[Plan, Verdict] | None:
    """The largest context below the usual with which it is all on the GPU; None: none is."""
    k = shape.layers if plan.gpu_layers == ALL_LAYERS else plan.gpu_layers - 1
    if k < shape.layers:
        return None
    case = Case(shape, plan, card, options.margin_bytes, profile)
    longest = longest_context(case, k)
    if not LEAST_PLANNED_TOKENS <= longest < plan.context_tokens:
        return None
    shorter = plan._replace(context_tokens=longest)
    return shorter, _judge(shape, shorter, options, card, profile)


def _has_room(case: Case, bill: Bill, blocks_on_gpu: int | None) -> bool:
    """Total and margin are free on the GPU; of several on each."""
    if case.card.parts and blocks_on_gpu is not None:
        return case.spare(bill, blocks_on_gpu) >= 0
    return bill.total_gpu_bytes + (case.margin_bytes or 0) <= case.card.free_bytes


def _answered(
    options: FitOptions,
    engine: str,
    shape: Shape,
    plan: Plan,
    verdict: Verdict,
    card: Card,
    profile: EngineProfile,
) -> Answer:
    bill = verdict.bill
    if bill is None:
        none_fits = 0 if verdict.kind is VerdictKind.CANNOT_RUN else None
        return Answer(options, engine, plan, verdict, False, False, none_fits, shape)
    if plan.draft is not None:
        verdict = verdict._replace(rate_note="without what drafting gains")
    case = Case(shape, plan, card_of_split(card, plan.split), options.margin_bytes, profile)
    blocks = None if plan.gpu_layers == 0 else plan.gpu_layers - 1
    whole = case if options.split else case._replace(plan=plan._replace(split=None), card=card)
    return Answer(
        options,
        engine,
        plan,
        verdict,
        _has_room(case, bill, blocks),
        _has_room(case._replace(card=emptied(case.card)), bill, blocks),
        longest_context(whole, blocks),
        shape,
    )
