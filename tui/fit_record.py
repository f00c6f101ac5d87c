"""One answer of ``modeldeck fit`` as plain data: the keys that ``docs/cli.md`` lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modeldeck.engines.fit.companions import ALONE, Companions
from modeldeck.engines.fit.profiles import PROFILES
from modeldeck.engines.fit.search import Answer
from modeldeck.engines.fit.types import Bill, Card, OtherProcess, Verdict, VerdictKind
from modeldeck.engines.formats.gguf_outline import Outline
from modeldeck.engines.types import ALL_LAYERS, ModelHeader

Rates = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Judged:
    """A target with its answer, or with why it has none.

    Attributes:
        target: as typed.
        header: None when there is a problem.
        companions: what is loaded with it.
        card: with what was learnt here of such models; None when there is a problem.
        answer: None when there is a problem.
        decode: predicted tokens per second at depth 0.
        decode_at_context: the same at the end of the context.
        prefill: of a prompt of 512 tokens.
        advice: clauses, the cheapest first.
        model: what an engine's command names it.
        quantisations: the other variants judged with it, if any.
        problem: a sentence; empty when all is well.
        outlines: of a model that is not here, for a dry run.
    """

    target: str
    header: ModelHeader | None = None
    companions: Companions = ALONE
    card: Card | None = None
    answer: Answer | None = None
    decode: Rates | None = None
    decode_at_context: Rates | None = None
    prefill: Rates | None = None
    advice: tuple[str, ...] = ()
    model: str = ""
    problem: str = ""
    outlines: tuple[Outline, ...] = ()


def fit_record(judged: Judged, card: Card, others: Sequence[OtherProcess]) -> dict[str, object]:
    """One object of the list that ``fit --json`` prints. Bytes are bytes."""
    found, header = judged.answer, judged.header
    verdict = found.verdict if found else None
    bill = verdict.bill if verdict else None
    sure = found if verdict and verdict.kind is not VerdictKind.NOT_JUDGED else None
    return {
        "target": judged.target,
        "architecture": header.architecture if header else None,
        "engine": found.engine if found else None,
        "options": _options(found) if found else None,
        "split": _split(found) if found else None,
        "devices": _devices(verdict) if verdict and verdict.shares else None,
        "verdict": verdict.kind.value if verdict else None,
        "source": verdict.source if verdict else None,
        "bill": bill_record(bill, others) if bill else None,
        "free": card.free_bytes,
        "margin": found.options.margin_bytes if found else None,
        "fits_now": sure.fits_now if sure else None,
        "fits_empty": sure.fits_empty if sure else None,
        "layers_gpu": _blocks_on_gpu(found) if found else None,
        "layers": verdict.layers if verdict else None,
        "max_ctx": found.max_context_tokens if found else None,
        "decode_tps": _band(judged.decode),
        "decode_tps_at_ctx": _band(judged.decode_at_context),
        "prefill_tps": _band(judged.prefill),
        "advice": list(judged.advice),
        "problem": judged.problem or None,
    }


def bill_record(bill: Bill, others: Sequence[OtherProcess] = ()) -> dict[str, object]:
    """The bill in bytes; ``kv``, ``recurrent`` and ``projector`` are totals over the devices."""
    return {
        "weights_gpu": bill.weights_gpu_bytes,
        "weights_host": bill.weights_host_bytes,
        "kv": bill.kv_gpu_bytes + bill.kv_host_bytes,
        "recurrent": bill.recurrent_gpu_bytes + bill.recurrent_host_bytes,
        "kv_gpu": bill.kv_gpu_bytes,
        "recurrent_gpu": bill.recurrent_gpu_bytes,
        "compute": bill.compute_gpu_bytes,
        "compute_host": bill.compute_host_bytes,
        "projector": bill.projector_gpu_bytes + bill.projector_host_bytes,
        "draft": bill.draft_bytes,
        "draft_host": bill.draft_host_bytes,
        "lora": bill.lora_bytes,
        "lora_host": bill.lora_host_bytes,
        "context_overhead": bill.context_overhead_bytes,
        "other_processes": [
            {"name": other.name, "bytes": other.used_bytes}
            for other in (*others, *bill.other_processes)
        ],
        "total_gpu": bill.total_gpu_bytes,
        "total_host": bill.total_host_bytes,
    }


def _split(found: Answer) -> dict[str, object] | None:
    """How it is spread over several cards; None with one."""
    split = found.plan.split
    return {"mode": split.mode, "shares": list(split.shares)} if split is not None else None


def _devices(verdict: Verdict) -> list[dict[str, object]]:
    """What each of several cards takes, in the order of PCI."""
    return [
        {
            "name": one.card.name,
            "free": one.card.free_bytes,
            "blocks": one.blocks,
            "weights": one.bill.weights_gpu_bytes,
            "kv": one.bill.kv_gpu_bytes,
            "recurrent": one.bill.recurrent_gpu_bytes,
            "compute": one.bill.compute_gpu_bytes,
            "total": one.bill.total_gpu_bytes,
        }
        for one in verdict.shares
    ]


def exit_code(judged: Sequence[Judged]) -> int:
    """0: every target runs somehow; 1: one has a problem or no verdict; 3: one does not fit."""
    kinds = [one.answer.verdict.kind if one.answer else None for one in judged]
    if None in kinds or VerdictKind.NOT_JUDGED in kinds:
        return 1
    return 3 if {VerdictKind.DOES_NOT_FIT, VerdictKind.CANNOT_RUN} & set(kinds) else 0


def _blocks_on_gpu(found: Answer) -> int:
    """Of the plan that the bill is for, whether it fits or not."""
    return max(found.plan.gpu_layers - 1, 0) if found.verdict.bill else 0


def _options(found: Answer) -> dict[str, object]:
    plan, asked = found.plan, found.options.gpu_layers
    profile = PROFILES.get(found.engine)
    planned = None if plan.gpu_layers == ALL_LAYERS else plan.gpu_layers
    return {
        "ctx": plan.context_tokens,
        "kv": plan.kv_type,
        "ubatch": plan.micro_batch_tokens,
        "slots": plan.slots,
        "kv_unified": profile is None or profile.unified,
        "ngl": planned if asked is None else asked,
        "n_cpu_moe": plan.cpu_moe_blocks,
        "flash_attn": plan.flash_attention,
        "swa_full": plan.swa_full,
    }


def _band(rates: Rates | None) -> dict[str, float] | None:
    if rates is None:
        return None
    low, middle, high = (float(f"{rate:.4g}") for rate in rates)
    return {"low": low, "mid": middle, "high": high}
