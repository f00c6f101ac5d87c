"""What would make a model fit: the cheapest change first, with what it saves and what it costs.

Every candidate is judged whole, by the same search as the plan itself, so an advice never promises
what the verdict would take back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from modeldeck.engines.fit.companions import ALONE, Companions
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.placement import gpu_need
from modeldeck.engines.fit.quants import QUANTS, bits_per_weight, requantised
from modeldeck.engines.fit.search import Answer, answer
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.types import (
    RUNS,
    WHOLE_ON_GPU,
    Bill,
    Card,
    OtherProcess,
    Verdict,
    VerdictKind,
)
from modeldeck.engines.types import KvType, ModelFormat, ModelHeader
from modeldeck.engines.units import gib_text

_LEAST_CONTEXT: Final = 1024
_GOOD_BITS: Final = 3.5
"""Per weight; below it quantisation is felt."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One change that makes it fit.

    Attributes:
        text: the change, what it saves and what it costs, as one clause.
        options: what to ask for instead; None when it is not the options that must change.
        saves_bytes: on the GPU.
        verdict: with that change; None when it is not the options that must change.
    """

    text: str
    options: FitOptions | None = None
    saves_bytes: int = 0
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One change; of each kind only the cheapest that works is given."""

    kind: str
    change: str
    cost: str
    options: FitOptions


def advise(
    header: ModelHeader,
    found: Answer,
    card: Card,
    most: int = 3,
    *,
    model_format: ModelFormat = ModelFormat.GGUF,
    companions: Companions = ALONE,
) -> tuple[Advice, ...]:
    """What would put all of it on the GPU, or at least make it run; the cheapest first.

    Empty when everything is on the GPU already and when the model was not judged.

    Args:
        header: the model.
        found: the answer to improve on.
        card: what is free.
        most: how many to give.
        model_format: how the model is stored.
        companions: what is loaded with it.
    """

    def asking(options: FitOptions) -> Answer:
        with_draft = options.draft is not None
        return answer(
            header,
            options,
            card,
            model_format=model_format,
            companions=companions if with_draft else companions._replace(draft=None),
            shape=shape,
        )

    def works(other: ModelHeader, options: FitOptions) -> bool:
        after = answer(other, options, card, companions=companions)
        return after.verdict.kind in (RUNS if fails else good)

    bill = found.verdict.bill
    if found.verdict.kind is VerdictKind.FITS or bill is None:
        return ()
    shape = shape_of(header) if model_format is ModelFormat.GGUF else None
    asked = _as_if_all_were_given(found)
    before = _full_need(found, asking)
    good = (
        WHOLE_ON_GPU
        if found.verdict.kind is not VerdictKind.FITS_EXPERTS_ON_CPU
        else {VerdictKind.FITS}
    )
    fails = found.verdict.kind is VerdictKind.DOES_NOT_FIT
    given: list[Advice] = []
    worked: set[str] = set()
    for candidate in _candidates(found, asked):
        if candidate.kind in worked:
            continue
        after = asking(candidate.options)
        runs_better = fails and after.verdict.kind in RUNS
        if (after.verdict.kind in good or runs_better) and after.verdict.bill is not None:
            whole = after.verdict.kind in WHOLE_ON_GPU
            saved = before - gpu_need(after.verdict.bill) if whole else 0
            gain = "then it runs" if fails else "then it is on the GPU"
            saves = f"saves {gib_text(saved)}" if saved > 0 else gain
            text = f"{candidate.change}: {saves}; {candidate.cost}"
            worked.add(candidate.kind)
            given.append(Advice(text, candidate.options, max(saved, 0), after.verdict))
        if len(given) == most:
            break
    if not given and model_format is ModelFormat.GGUF:
        gain = "then it runs" if fails else "then it is on the GPU"
        given += _another_file(header, lambda other: works(other, asked), gain)
    if not given and fails:
        # One change is not enough: the file, and the options, all but engine and margin.
        free = FitOptions(
            engine=asked.engine,
            margin_bytes=asked.margin_bytes,
            draft=asked.draft,
            adapters=asked.adapters,
        )
        left = asking(free).verdict
        if left.kind in RUNS:
            text = "leave the options to the plan: then it runs"
            given.append(Advice(text, free, verdict=left))
        elif model_format is ModelFormat.GGUF:
            gain = "then it runs, with the options left to the plan"
            given += _another_file(header, lambda other: works(other, free), gain)
    return tuple(given)


def _another_file(
    header: ModelHeader, works: Callable[[ModelHeader], bool], gain: str
) -> Iterator[Advice]:
    """The largest quantisation of the model, smaller than this, that does; none when none does."""
    here = bits_per_weight(header)
    for name, bits in reversed(QUANTS):
        if bits >= here:
            continue
        other = requantised(header, name, bits)
        if works(other):
            size = gib_text(other.weights.total_bytes)
            cost = "some loss of quality" if bits >= _GOOD_BITS else "much loss of quality"
            yield Advice(f"{name} of it, about {size}: {gain}; {cost}")
            return


def must_go(bill: Bill, card: Card, holders: Sequence[OtherProcess]) -> tuple[Advice, ...]:
    """Which loaded model or process would, by ending, free enough; the smallest that does first.

    With none that does alone: the fewest that do together, the largest first; empty when even all
    of them would not.

    Args:
        bill: what is to be loaded.
        card: what is free.
        holders: who holds memory of the card.
    """
    missing = gpu_need(bill) - card.free_bytes
    if missing <= 0:
        return ()
    by_size = sorted(holders, key=lambda holder: holder.used_bytes)
    alone = [holder for holder in by_size if holder.used_bytes >= missing]
    if alone:
        return tuple(
            Advice(
                f"end {holder.name}: frees {gib_text(holder.used_bytes)}", None, holder.used_bytes
            )
            for holder in alone
        )
    together: list[OtherProcess] = []
    for holder in reversed(by_size):
        together.append(holder)
        freed = sum(one.used_bytes for one in together)
        if freed >= missing:
            names = " and ".join(one.name for one in together)
            return (Advice(f"end {names}: frees {gib_text(freed)}", None, freed),)
    return ()


def _as_if_all_were_given(found: Answer) -> FitOptions:
    """The plan's context and cache as if asked for, so that only one thing changes at a time."""
    return replace(found.options, context_tokens=found.plan.context_tokens)


def _full_need(found: Answer, asking: Callable[[FitOptions], Answer]) -> int:
    """What the GPU would have to hold for everything, or for the layers that were asked for."""
    bill = found.verdict.bill
    if found.verdict.kind is not VerdictKind.DOES_NOT_FIT and found.shape is not None:
        layers = found.shape.layers + 1
        everything = replace(_as_if_all_were_given(found), gpu_layers=layers, cpu_moe_blocks=0)
        bill = asking(everything).verdict.bill or bill
    return gpu_need(bill) if bill is not None else 0


def _candidates(found: Answer, asked: FitOptions) -> Iterator[_Candidate]:
    """From what costs nothing to what costs most: answers, then length, then speed."""
    plan = found.plan
    for tokens in (256, 128):
        if plan.micro_batch_tokens > tokens:
            yield _Candidate(
                "ubatch",
                f"--ubatch {tokens}",
                "prompts are read more slowly",
                replace(asked, micro_batch_tokens=tokens),
            )
    if plan.slots > 1:
        yield _Candidate(
            "slots", "--slots 1", "one conversation at a time", replace(asked, slots=1)
        )
    if plan.swa_full:
        yield _Candidate(
            "swa",
            "without --swa-full",
            "an edited prompt is read again",
            replace(asked, swa_full=False),
        )
    if plan.draft is not None:
        yield _Candidate(
            "draft", "without drafting", "decoding gets slower", replace(asked, draft=None)
        )
    if not plan.flash_attention:
        yield _Candidate(
            "flash", "with flash attention", "no cost", replace(asked, flash_attention=True)
        )
    yield from _smaller_caches(found, asked)
    yield from _shorter(found, asked)
    if asked.cpu_moe_blocks is not None:
        yield _Candidate(
            "experts",
            "more experts on the CPU",
            "decoding gets slower",
            replace(asked, cpu_moe_blocks=None, gpu_layers=None),
        )
    fails = found.verdict.kind is VerdictKind.DOES_NOT_FIT
    if asked.gpu_layers is not None:
        yield _Candidate(
            "layers",
            "without --ngl",
            "slower, where layers run on the CPU" if fails else "no cost",
            replace(asked, gpu_layers=None),
        )


def _smaller_caches(found: Answer, asked: FitOptions) -> Iterator[_Candidate]:
    steps: tuple[tuple[KvType, str], ...] = (
        ("q8_0", "hardly any loss of quality"),
        ("q4_0", "some loss of quality at long contexts"),
    )
    size = {"f32": 4, "f16": 3, "bf16": 3, "q8_0": 2}.get(found.plan.kv_type, 1)
    for kv_type, cost in steps:
        if {"q8_0": 2, "q4_0": 1}[kv_type] < size:
            options = replace(asked, kv_type=kv_type)
            yield _Candidate("kv", f"--kv {kv_type}", cost, options)


def _shorter(found: Answer, asked: FitOptions) -> Iterator[_Candidate]:
    tokens = _half(found.plan.context_tokens)
    while tokens >= _LEAST_CONTEXT:
        yield _Candidate(
            "ctx", f"--ctx {tokens}", "a shorter memory", replace(asked, context_tokens=tokens)
        )
        tokens = _half(tokens)


def _half(tokens: int) -> int:
    return tokens // 2 // 256 * 256
