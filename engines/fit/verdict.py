"""The verdict: does this model fit this card, how much of it, with how much context, how fast."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from modeldeck.engines.fit.shape import Shape, Unjudged, shape_of
from modeldeck.engines.fit.speed import decode_rates
from modeldeck.engines.fit.terms import (
    bill,
    flash_attention_on_cuda,
    kv_bytes,
    projector_bytes,
    refusal,
)
from modeldeck.engines.fit.types import Bill, Card, Verdict, VerdictKind
from modeldeck.engines.types import ALL_LAYERS, ModelHeader, Plan
from modeldeck.engines.units import gib_number, gib_text, tokens_text

_STEP: Final = 256
_LONGEST_CONTEXT: Final = 1 << 20


def judge(header: ModelHeader, plan: Plan, card: Card, projector_file_bytes: int = 0) -> Verdict:
    """The closed-form verdict on a model, instantly and without opening its file. Never raises.

    With ``plan.gpu_layers`` at ``ALL_LAYERS`` the best placement is looked for: everything on the
    GPU, else as many blocks as fit, else none. Any other number is judged as it stands.
    """
    shape = shape_of(header)
    if isinstance(shape, Unjudged):
        return _not_judged(shape.why)
    return judge_shape(with_projector(shape, projector_file_bytes), plan, card)


def with_projector(shape: Shape, file_bytes: int) -> Shape:
    """The same with a projector of this size beside it; 0 is none."""
    return replace(shape, projector_bytes=projector_bytes(file_bytes)) if file_bytes else shape


def judge_shape(shape: Shape, plan: Plan, card: Card) -> Verdict:
    """``judge`` for a shape that is at hand: many plans for one model."""
    if min(plan.context_tokens, plan.slots, plan.batch_tokens, plan.micro_batch_tokens) < 1:
        return _not_judged("a plan without a context, a slot or a batch")
    refused = refusal(shape, plan)
    if refused:
        reason = f"cannot run: {refused}"
        return Verdict(VerdictKind.CANNOT_RUN, "closed-form", reason, layers=shape.layers)
    if shape.kv_heads_vary and not plan.flash_attention:
        return _not_judged("varying head counts without flash attention need the dry run")
    if plan.gpu_layers <= 0:
        return _without_gpu(shape, plan, card)
    if plan.flash_attention and not flash_attention_on_cuda(shape):
        return _not_judged(f"no CUDA flash attention for a head size of {shape.key_length}")
    if plan.gpu_layers < ALL_LAYERS:
        return _as_asked(shape, plan, card, min(plan.gpu_layers - 1, shape.layers))
    return _best(shape, plan, card)


def _best(shape: Shape, plan: Plan, card: Card) -> Verdict:
    full = bill(shape, plan, plan.context_tokens, shape.layers)
    if _fits(full, card):
        return _all_on_gpu(shape, plan, card, full)
    longest = _longest_context(shape, plan, card, shape.layers)
    missing_bytes = full.total_gpu_bytes + full.margin_bytes - card.free_bytes
    if missing_bytes > 0 and shape.layers > 1:
        k = _most_blocks(shape, plan, card)
        partial = bill(shape, plan, plan.context_tokens, k) if k else full
        if k and _fits(partial, card):
            return Verdict(
                VerdictKind.FITS_PARTIAL,
                "closed-form",
                f"{k} of {shape.layers} layers on the GPU: {gib_text(missing_bytes)} short of all",
                partial,
                layers_gpu=k,
                layers=shape.layers,
                gpu_layers=k + 1,
                max_context_tokens=longest,
            )
    host = bill(shape, plan, plan.context_tokens, None)
    free = gib_text(card.free_bytes)
    if missing_bytes > 0 and host.total_host_bytes <= card.ram_bytes:
        return Verdict(
            VerdictKind.CPU_ONLY,
            "closed-form",
            f"CPU only: none of {shape.layers} layers fits in {free} on the GPU",
            host,
            layers=shape.layers,
            max_context_tokens=longest,
        )
    return _does_not_fit(shape, card, full, longest)


def _most_blocks(shape: Shape, plan: Plan, card: Card) -> int:
    """The most blocks, short of all, whose weights and cache fit the GPU beside the fixed costs."""

    def grows(k: int) -> int:
        cache = kv_bytes(shape.kv_elements[k], plan, plan.context_tokens)
        return shape.blocks_gpu_bytes[k] + cache

    fixed = _gpu_need(bill(shape, plan, plan.context_tokens, 1)) - grows(1)
    return bisect_right(range(1, shape.layers), card.free_bytes - fixed, key=grows)


def _as_asked(shape: Shape, plan: Plan, card: Card, k: int) -> Verdict:
    """The plan's own number of layers: the output layer and the last k blocks."""
    asked = bill(shape, plan, plan.context_tokens, k)
    if k == shape.layers and _fits(asked, card):
        return _all_on_gpu(shape, plan, card, asked)
    longest = _longest_context(shape, plan, card, k)
    if not _fits(asked, card):
        return _does_not_fit(shape, card, asked, longest)
    used = _share(asked.total_gpu_bytes, card.free_bytes)
    return Verdict(
        VerdictKind.FITS_PARTIAL,
        "closed-form",
        f"{k} of {shape.layers} layers on the GPU: {used}",
        asked,
        layers_gpu=k,
        layers=shape.layers,
        gpu_layers=k + 1,
        max_context_tokens=longest,
    )


def _without_gpu(shape: Shape, plan: Plan, card: Card) -> Verdict:
    host = bill(shape, plan, plan.context_tokens, None)
    longest = _longest_context(shape, plan, card, None)
    if host.total_host_bytes > card.ram_bytes:
        return _does_not_fit(shape, card, host, longest)
    used = _share(host.total_host_bytes, card.ram_bytes)
    return Verdict(
        VerdictKind.CPU_ONLY,
        "closed-form",
        f"CPU only: {used} memory with {tokens_text(plan.context_tokens)} context",
        host,
        layers=shape.layers,
        max_context_tokens=longest,
    )


def _all_on_gpu(shape: Shape, plan: Plan, card: Card, full: Bill) -> Verdict:
    used = _share(full.total_gpu_bytes, card.free_bytes)
    return Verdict(
        VerdictKind.FITS,
        "closed-form",
        f"fits: {used} with {tokens_text(plan.context_tokens)} context",
        full,
        layers_gpu=shape.layers,
        layers=shape.layers,
        gpu_layers=shape.layers + 1,
        max_context_tokens=_longest_context(shape, plan, card, shape.layers),
        decode_tps=decode_rates(shape, card),
    )


def _does_not_fit(shape: Shape, card: Card, asked: Bill, longest: int) -> Verdict:
    needs, ram = _gpu_need(asked), gib_number(card.ram_bytes)
    if needs > card.free_bytes:
        total, gpu = gib_text(needs + asked.total_host_bytes), gib_number(card.free_bytes)
        needed = f"{total}, there are {gpu} on the GPU and {ram} in memory"
    else:
        needed = f"{gib_text(asked.total_host_bytes)} of memory, there are {ram} free"
    return Verdict(
        VerdictKind.DOES_NOT_FIT,
        "closed-form",
        f"does not fit: needs {needed}",
        asked,
        layers=shape.layers,
        max_context_tokens=longest,
    )


def _not_judged(why: str) -> Verdict:
    return Verdict(VerdictKind.NOT_JUDGED, "needs-dry-run", f"not judged yet: {why}")


def _gpu_need(terms: Bill) -> int:
    return terms.total_gpu_bytes + terms.margin_bytes


def _fits(terms: Bill, card: Card) -> bool:
    return _gpu_need(terms) <= card.free_bytes and terms.total_host_bytes <= card.ram_bytes


def _longest_context(shape: Shape, plan: Plan, card: Card, k: int | None) -> int:
    """The largest context that fits with the last ``k`` blocks on the GPU; None: no GPU."""

    def left(steps: int) -> int:
        """Bytes to spare, on the GPU or in memory, whichever is scarcer."""
        terms = bill(shape, plan, _STEP * steps, k)
        return min(card.free_bytes - _gpu_need(terms), card.ram_bytes - terms.total_host_bytes)

    cap = shape.trained_context_tokens or _LONGEST_CONTEXT
    if _fits(bill(shape, plan, cap, k), card):
        return cap
    return _STEP * last_not_negative(left, (cap - 1) // _STEP)


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


def _share(used_bytes: int, of_bytes: int) -> str:
    return f"{gib_number(used_bytes)} of {gib_text(of_bytes)}"
