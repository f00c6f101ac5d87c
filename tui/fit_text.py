"""One answer of ``modeldeck fit`` as people read it, within 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from modeldeck.engines.fit.commands import command_lines
from modeldeck.engines.fit.grid import GridRow
from modeldeck.engines.fit.guide import Truth
from modeldeck.engines.fit.types import Bill, Card, CardShare, OtherProcess, VerdictKind
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import gib_number, gib_text, tokens_text
from modeldeck.tui.fit_record import Judged, Rates

_COLUMNS = 80
_BAR = 30
_SOURCES = {
    "closed-form": "by formula",
    "engine": "sized by the engine",
    "measured": "measured here",
    "needs-dry-run": "needs the dry run",
    "policy": "no engine reads it",
}
_CELLS = {
    VerdictKind.FITS: "fits",
    VerdictKind.FITS_EXPERTS_ON_CPU: "experts",
    VerdictKind.CPU_ONLY: "CPU",
    VerdictKind.DOES_NOT_FIT: "no",
    VerdictKind.CANNOT_RUN: "cannot",
    VerdictKind.NOT_JUDGED: "?",
}


def fit_text(
    judged: Judged, card: Card, others: Sequence[OtherProcess], row: GridRow | None
) -> str:
    """Verdict, bill, context, rates, advice and command of one target, a thing a line."""
    return "\n".join(_lines(judged, card, others, row))


def _lines(
    judged: Judged, card: Card, others: Sequence[OtherProcess], row: GridRow | None
) -> Iterator[str]:
    found, header = judged.answer, judged.header
    if found is None or header is None:
        return
    plan, verdict = found.plan, found.verdict
    about = ", ".join(word for word in (header.architecture, header.quantisation) if word)
    yield from _wrapped(f"{clean_line(judged.target, 300)} ({about})", "")
    yield from _wrapped(f"{verdict.reason} ({_SOURCES[verdict.source]})", "  ")
    bill = verdict.bill
    if bill is not None:
        empty = "fits" if found.fits_empty else "does not fit"
        now = "fits" if found.fits_now else "does not fit"
        share = f"{gib_text(card.free_bytes)} free of {gib_number(card.usable_bytes)} usable"
        yield from _wrapped(f"{card.name}, {share}: now it {now}, empty it {empty}", "  ")
        yield ""
        yield from bill_lines(bill, card, others, found.options.margin_bytes)
        for part in verdict.shares:
            yield from _wrapped(share_text(part), "  ")
        yield ""
    cache = f"{plan.kv_type} cache, {plan.slots} slot{'s' * (plan.slots > 1)}"
    longest = found.max_context_tokens
    most = f"; at most {longest}" if longest else ""
    yield f"  context   {plan.context_tokens}, {cache}{most}"
    if judged.decode:
        yield f"  decode    {_rate(judged.decode)}"
    if judged.decode_at_context:
        yield f"  at depth  {_rate(judged.decode_at_context)}, the context full"
    if judged.prefill:
        yield f"  prefill   {_rate(judged.prefill)}"
    if row is not None and _cells(row):
        yield from _wrapped(_cells(row), "  contexts  ")
    for text in judged.advice:
        yield from _wrapped(text, "  advice    ")
    if verdict.kind not in (VerdictKind.DOES_NOT_FIT, VerdictKind.CANNOT_RUN):
        yield from _command(found.engine, judged)


def share_text(share: CardShare) -> str:
    """What one of several cards takes: ``RTX 3060 12GB: 21 layers, 9.5 of 11.6 GiB``."""
    layers = f"{share.blocks} layer{'s' * (share.blocks != 1)}"
    taken = f"{gib_number(share.bill.total_gpu_bytes)} of {gib_text(share.card.free_bytes)}"
    return f"{share.card.name}: {layers}, {taken}"


def guide_text(truth: Truth) -> str:
    """One claim of a guide, the truth and its arithmetic."""
    lines = _wrapped(f"{'true' if truth.holds else 'not so'}: {truth.claim}", "")
    return "\n".join((*lines, *_wrapped(truth.truth, "  "), *_wrapped(truth.arithmetic, "  ")))


def bill_lines(
    bill: Bill, card: Card, others: Sequence[OtherProcess], margin_bytes: int
) -> Iterator[str]:
    """The bill as a stack: each term with its share of the card beside it."""
    rows = [
        ("weights", bill.weights_gpu_bytes, bill.weights_host_bytes),
        ("KV cache", bill.kv_gpu_bytes, bill.kv_host_bytes),
        ("state", bill.recurrent_gpu_bytes, bill.recurrent_host_bytes),
        ("compute", bill.compute_gpu_bytes, bill.compute_host_bytes),
        ("projector", bill.projector_gpu_bytes, bill.projector_host_bytes),
        ("draft", bill.draft_bytes, bill.draft_host_bytes),
        ("adapters", bill.lora_bytes, bill.lora_host_bytes),
        ("CUDA", bill.context_overhead_bytes, 0),
    ]
    yield f"  {'GiB':<12}{'GPU':>7}{'memory':>8}"
    before = 0
    for name, gpu, host in rows:
        if gpu or host:
            numbers = f"  {name:<12}{_number(gpu):>7}{_number(host):>8}"
            yield f"{numbers}  {_bar(before, gpu, card)}".rstrip()
            before += gpu
    total, host_total = bill.total_gpu_bytes, bill.total_host_bytes
    yield f"  {'total':<12}{_number(total):>7}{_number(host_total):>8}"
    if bill.learnt:
        yield f"  {'':<12}{bill.learnt}"
    yield f"  {'margin':<12}{_number(margin_bytes):>7}"
    yield f"  {'free':<12}{_number(card.free_bytes):>7}{_number(card.ram_bytes):>8}"
    for other in others:
        yield f"  {_number(other.used_bytes):>19}          {other.name}"[:_COLUMNS]


def _bar(before: int, size: int, card: Card) -> str:
    """The term where it lies on the card, as a stack grows; ``>``: it goes beyond the card."""
    if not size or card.usable_bytes <= 0:
        return ""
    start = before * _BAR // card.usable_bytes
    end = -(-(before + size) * _BAR // card.usable_bytes)
    over = end > _BAR
    start, end = min(start, _BAR), min(end, _BAR)
    return " " * start + "█" * (end - start) + (">" if over else "")


def _number(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.2f}" if size_bytes else "-"


def _rate(rates: Rates | None) -> str:
    if rates is None:
        return ""
    low, middle, high = rates
    digits = 1 if middle < 20 else 0
    return f"{middle:.{digits}f} tok/s ({low:.{digits}f} to {high:.{digits}f})"


def _cells(row: GridRow) -> str:
    words: list[str] = []
    for cell in row.cells:
        if cell.kind is None:
            continue
        partial = f"{cell.layers_gpu}/{cell.layers}"
        word = partial if cell.kind is VerdictKind.FITS_PARTIAL else _CELLS[cell.kind]
        words.append(f"{tokens_text(cell.context_tokens)} {word}")
    return ", ".join(words)


def _command(engine: str, judged: Judged) -> Iterator[str]:
    found = judged.answer
    if found is not None:
        for line in command_lines(engine, judged.model, found.plan):
            yield f"  {line}"


def _wrapped(text: str, lead: str) -> list[str]:
    """``text`` in lines of at most 80 columns; ``lead`` stands before the first."""
    inner = " " * len(lead)
    return textwrap.wrap(text, _COLUMNS, initial_indent=lead, subsequent_indent=inner) or [lead]
