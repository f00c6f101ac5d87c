"""The verdict: does this model fit this card, how much of it, with how much context, how fast."""

from __future__ import annotations

from modeldeck.engines.fit.companions import ALONE, Companions, with_companions
from modeldeck.engines.fit.placement import (
    Case,
    fewest_cpu_experts,
    gpu_need,
    has_experts,
    longest_context,
    most_blocks,
)
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.terms import flash_attention_on_cuda, refusal
from modeldeck.engines.fit.types import Bill, Card, Rates, Verdict, VerdictKind
from modeldeck.engines.types import ALL_LAYERS, ModelHeader, Plan
from modeldeck.engines.units import gib_number, gib_text, tokens_text


def judge(header: ModelHeader, plan: Plan, card: Card, companions: Companions = ALONE) -> Verdict:
    """The closed-form verdict on a model, instantly and without opening its file. Never raises.

    With ``plan.gpu_layers`` at ``ALL_LAYERS`` the best placement is looked for: everything on the
    GPU, else the experts of as few blocks as will do on the CPU, else as many blocks as fit on the
    GPU, else none; and without flash attention where CUDA has no kernel for the model's heads. Any
    other number is judged as it stands.
    """
    from modeldeck.engines.fit.shaping import shape_of  # 3 ms; a list has its shapes kept

    return judge_found(shape_of(header), plan, card, companions)


def judge_found(
    shape: Shape | Unjudged,
    plan: Plan,
    card: Card,
    companions: Companions = ALONE,
    *,
    brief: bool = False,
) -> Verdict:
    """``judge`` for what is known of a header already.

    In ``brief`` it has no longest context and no rate, which take most of the time.
    """
    if isinstance(shape, Unjudged):
        return not_judged(shape.why)
    whole = with_companions(shape, companions)
    if isinstance(whole, Unjudged):
        return not_judged(whole.why)
    return judge_shape(whole, _with_kernels(shape, plan), card, brief=brief)


def judged_plan(shape: Shape | Unjudged, plan: Plan, verdict: Verdict) -> Plan:
    """The plan that ``judge_found`` gave ``verdict`` on, with the layers and experts it chose.

    A plan that does not fit was priced with everything on the GPU.
    """
    if isinstance(shape, Unjudged) or plan.gpu_layers != ALL_LAYERS:
        return plan
    if verdict.kind is VerdictKind.CPU_ONLY:
        return plan._replace(gpu_layers=0)
    refused = verdict.kind is VerdictKind.DOES_NOT_FIT
    return _with_kernels(shape, plan)._replace(
        gpu_layers=shape.layers + 1 if refused else verdict.gpu_layers,
        cpu_moe_blocks=verdict.cpu_moe_blocks,
        split=verdict.split,
    )


def _with_kernels(shape: Shape, plan: Plan) -> Plan:
    """The same without flash attention where CUDA has none for these heads, if that may be."""
    if plan.gpu_layers != ALL_LAYERS or flash_attention_on_cuda(shape):
        return plan
    without = plan._replace(flash_attention=False)
    return plan if refusal(shape, without) else without


def judge_shape(
    shape: Shape,
    plan: Plan,
    card: Card,
    *,
    margin_bytes: int | None = None,
    keep_experts: bool = False,
    profile: EngineProfile = LLAMA_SERVER,
    brief: bool = False,
) -> Verdict:
    """``judge`` for a shape that is at hand: many plans for one model.

    Args:
        shape: the model.
        plan: with the layers to judge, or ``ALL_LAYERS`` to look for the best placement.
        card: what is free.
        margin_bytes: to be kept free on the GPU; None for the usual.
        keep_experts: ``plan.cpu_moe_blocks`` is the user's, and stays in any placement.
        profile: the program that runs llama.cpp.
        brief: the answer alone, without the longest context and the rate.
    """
    if min(plan.context_tokens, plan.slots, plan.batch_tokens, plan.micro_batch_tokens) < 1:
        return not_judged("a plan without a context, a slot or a batch")
    refused = refusal(shape, plan)
    if refused:
        reason = f"cannot run: {refused}"
        return Verdict(VerdictKind.CANNOT_RUN, "closed-form", reason, layers=shape.layers)
    case = Case(shape, plan, card, margin_bytes, profile, brief)
    if plan.gpu_layers <= 0:
        return _without_gpu(case)
    if plan.flash_attention and not flash_attention_on_cuda(shape):
        why = f"no CUDA flash attention for a head size of {shape.key_length}"
        if not refusal(shape, plan._replace(flash_attention=False)):
            return not_judged(why)
        reason = f"cannot run: {why}, and a {plan.kv_type} cache needs it"
        return Verdict(VerdictKind.CANNOT_RUN, "closed-form", reason, layers=shape.layers)
    keep = keep_experts or plan.cpu_moe_blocks > 0

    def placed(case: Case) -> Verdict:
        if plan.gpu_layers < ALL_LAYERS:
            return _as_asked(case, min(plan.gpu_layers - 1, shape.layers))
        return _best(case, keep)

    if not card.parts:
        return placed(case)
    from modeldeck.engines.fit.several import judge_several  # where there is one card: never

    return judge_several(case, placed)


def _best(case: Case, keep_experts: bool) -> Verdict:
    shape, card = case.shape, case.card
    full = case.price(shape.layers)
    if case.fits(full, shape.layers):
        return _all_on_gpu(case, full)
    longest = _longest(case, shape.layers)
    missing_bytes = -case.spare(full, shape.layers)
    if missing_bytes <= 0:
        return _does_not_fit(case, full, longest)
    if not keep_experts:
        fewest = fewest_cpu_experts(case, shape.layers)
        if fewest is not None:
            moved = case.with_experts(fewest)
            terms = moved.price(shape.layers)
            return (
                _all_on_gpu(moved, terms)
                if moved.fits(terms, shape.layers)
                else _does_not_fit(case, full, longest)
            )
    # Blocks leave the GPU only when their experts have.
    moved = case.with_experts(shape.layers) if not keep_experts and has_experts(case) else case
    k = most_blocks(moved)
    partial = moved.price(k) if k else full
    if k and moved.fits(partial, k):
        layers = f"{k} of {shape.layers} layers{', no experts' if moved is not case else ''}"
        reason = f"{layers} on the GPU: {gib_text(missing_bytes)} short of all"
        return _partly(moved, k, partial, reason, longest)
    host = case.price(None)
    free = gib_text(card.free_bytes)
    if host.total_host_bytes <= card.ram_bytes:
        return Verdict(
            VerdictKind.CPU_ONLY,
            "closed-form",
            f"CPU only: none of {shape.layers} layers fits in {free} on the GPU",
            host,
            layers=shape.layers,
            max_context_tokens=longest,
            decode_tps=_decode(case, None),
        )
    return _does_not_fit(case, full, longest)


def _as_asked(case: Case, k: int) -> Verdict:
    """The plan's own number of layers: the output layer and the last k blocks."""
    asked = case.price(k)
    fits = case.fits(asked, k)
    if fits and k == case.shape.layers:
        return _all_on_gpu(case, asked)
    longest = _longest(case, k)
    if not fits:
        return _does_not_fit(case, asked, longest)
    used = _share(asked.total_gpu_bytes, case.card.free_bytes)
    reason = f"{k} of {case.shape.layers} layers on the GPU: {used}"
    return _partly(case, k, asked, reason, longest)


def _partly(case: Case, k: int, terms: Bill, reason: str, longest: int | None) -> Verdict:
    return Verdict(
        VerdictKind.FITS_PARTIAL,
        "closed-form",
        reason,
        terms,
        layers_gpu=k,
        layers=case.shape.layers,
        gpu_layers=k + 1,
        cpu_moe_blocks=case.plan.cpu_moe_blocks,
        max_context_tokens=longest,
        decode_tps=_decode(case, k),
    )


def _longest(case: Case, blocks_on_gpu: int | None) -> int | None:
    return None if case.brief else longest_context(case, blocks_on_gpu)


def _decode(case: Case, blocks_on_gpu: int | None) -> Rates | None:
    """The predicted rate of this placement with no context yet; None in brief."""
    if case.brief:
        return None
    from modeldeck.engines.fit.decode import decode_rate  # with the next line: 6 ms
    from modeldeck.engines.fit.token_cost import token_cost

    cost = token_cost(case.shape, case.plan, blocks_on_gpu, 0)
    cards = [] if blocks_on_gpu is None else case.computing(blocks_on_gpu)
    return decode_rate(cost, cards, case.card.host, case.profile.name)


def _without_gpu(case: Case) -> Verdict:
    host = case.price(None)
    longest = _longest(case, None)
    if host.total_host_bytes > case.card.ram_bytes:
        return _does_not_fit(case, host, longest)
    used = _share(host.total_host_bytes, case.card.ram_bytes)
    return Verdict(
        VerdictKind.CPU_ONLY,
        "closed-form",
        f"CPU only: {used} memory with {tokens_text(case.plan.context_tokens)} context",
        host,
        layers=case.shape.layers,
        max_context_tokens=longest,
        decode_tps=_decode(case, None),
    )


def _all_on_gpu(case: Case, terms: Bill) -> Verdict:
    """Every layer is on the GPU; the experts of some blocks may not be."""
    shape, plan = case.shape, case.plan
    used = _share(terms.total_gpu_bytes, case.card.free_bytes)
    context = f"{used} with {tokens_text(plan.context_tokens)} context"
    moved = plan.cpu_moe_blocks > 0 and has_experts(case)
    blocks = min(plan.cpu_moe_blocks, shape.layers)
    return Verdict(
        VerdictKind.FITS_EXPERTS_ON_CPU if moved else VerdictKind.FITS,
        "closed-form",
        f"fits with {blocks} of {shape.layers} blocks' experts on the CPU: {context}"
        if moved
        else f"fits: {context}",
        terms,
        layers_gpu=shape.layers,
        layers=shape.layers,
        gpu_layers=shape.layers + 1,
        cpu_moe_blocks=plan.cpu_moe_blocks,
        max_context_tokens=_longest(case, shape.layers),
        decode_tps=_decode(case, shape.layers),
    )


def _does_not_fit(case: Case, asked: Bill, longest: int | None) -> Verdict:
    card = case.card
    needs, ram = gpu_need(asked), gib_number(card.ram_bytes)
    if card.parts and needs <= card.free_bytes and asked.total_host_bytes <= card.ram_bytes:
        needed = "more than one of the cards has free"
    elif needs > card.free_bytes:
        total, gpu = gib_text(needs + asked.total_host_bytes), gib_number(card.free_bytes)
        needed = f"{total}, there are {gpu} on the GPU and {ram} in memory"
    else:
        needed = f"{gib_text(asked.total_host_bytes)} of memory, there are {ram} free"
    return Verdict(
        VerdictKind.DOES_NOT_FIT,
        "closed-form",
        f"does not fit: needs {needed}",
        asked,
        layers=case.shape.layers,
        max_context_tokens=longest,
    )


def not_judged(why: str) -> Verdict:
    """No verdict, and why; ``why`` completes "not judged yet: …"."""
    return Verdict(VerdictKind.NOT_JUDGED, "needs-dry-run", f"not judged yet: {why}")


def _share(used_bytes: int, of_bytes: int) -> str:
    return f"{gib_number(used_bytes)} of {gib_text(of_bytes)}"
