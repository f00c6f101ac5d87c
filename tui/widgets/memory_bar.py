"""The bill of a plan against a card's memory: as a bar and as lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.content import Content

from modeldeck.engines.fit.types import Bill, Card
from modeldeck.engines.units import GIB, gib_number

if TYPE_CHECKING:
    from modeldeck.engines.hardware.types import GpuProcess

MUTED: Final = ".detail--muted"
_IN_USE: Final = "in use"
_MOST_NAMED: Final = 3
_INSET: Final = "  "
_FREE: Final = "·"
_CARD_ENDS: Final = "┃"


@dataclass(frozen=True, slots=True)
class Term:
    """One part of the card's memory.

    Attributes:
        label: as the bill calls it.
        glyph: what the bar is filled with: every term has its own, so that it reads without colour.
        style: of the glyph.
        size_bytes: on the GPU.
        note: what else there is to say.
    """

    label: str
    glyph: str
    style: str
    size_bytes: int
    note: str = ""


def terms(bill: Bill, card: Card, cache_note: str = "") -> tuple[Term, ...]:
    """What takes up the card's memory, from the plan's weights to what is kept free."""
    others = max(0, card.usable_bytes - card.free_bytes)
    gpu_bytes, host_bytes = bill.projector_gpu_bytes, bill.projector_host_bytes
    projector = Term("projector", "▚", "$bar-compute", gpu_bytes, _in_ram(host_bytes) or "at most")
    known = bill.spread_text or ("measured" if bill.loads else "assumed")
    state_host = bill.recurrent_host_bytes
    state = Term("state", "▞", "$bar-kv", bill.recurrent_gpu_bytes, _in_ram(state_host))
    beside_host = bill.draft_host_bytes + bill.lora_host_bytes
    on_card = bill.draft_bytes + bill.lora_bytes
    beside = Term("draft, lora", "▙", "$bar-weights", on_card, _in_ram(beside_host))
    return (
        Term(
            "weights",
            "█",
            "$bar-weights",
            bill.weights_gpu_bytes,
            _in_ram(bill.weights_host_bytes),
        ),
        Term(
            "kv cache",
            "▓",
            "$bar-kv",
            bill.kv_gpu_bytes,
            " ".join(filter(None, (cache_note, _in_ram(bill.kv_host_bytes)))),
        ),
        *((state,) if state.size_bytes or state_host else ()),
        *((beside,) if on_card or beside_host else ()),
        Term(
            "compute",
            "▒",
            "$bar-compute",
            bill.compute_gpu_bytes,
            _in_ram(bill.compute_host_bytes),
        ),
        *((projector,) if gpu_bytes or host_bytes else ()),
        Term("cuda context", "░", "$bar-context", bill.context_overhead_bytes, known),
        Term(_IN_USE, "╱", "$bar-other", others, "" if card.what_if else "by others now"),
        Term("margin", "╌", "$bar-other", bill.margin_bytes),
    )


def bar(bill: Bill, card: Card, width: int) -> Content:
    """The terms of ``bill`` side by side on ``width`` cells, what is free after them.

    A bill larger than the card is drawn whole, with a mark where the card ends.
    """
    parts = terms(bill, card)
    total = sum(term.size_bytes for term in parts)
    span = max(card.usable_bytes, total, 1)
    pieces: list[tuple[str, str]] = []
    bytes_so_far = cells_so_far = 0
    for term in parts:
        bytes_so_far += term.size_bytes
        cells = round(bytes_so_far * width / span) - cells_so_far
        if cells:
            pieces.append((term.glyph * cells, term.style))
            cells_so_far += cells
    line = Content.assemble(*pieces, (_FREE * (width - cells_so_far), "$bar-free"))
    if total > card.usable_bytes:
        at = min(width - 1, card.usable_bytes * width // span)
        mark = Content.styled(_CARD_ENDS, "bold $verdict-no")
        line = Content.assemble(line[:at], mark, line[at + 1 :])
    return line


def bill_lines(
    bill: Bill,
    card: Card,
    cache_note: str = "",
    others: Sequence[GpuProcess] = (),
    width: int = 80,
) -> Iterator[Content]:
    """A line for each term and one for what is left, in GiB; always the same lines in order.

    Under what others use the largest of ``others`` are named.
    """
    parts = terms(bill, card, cache_note)
    for term in parts:
        yield _line(term)
        named = _named(others) if term.label == _IN_USE and not card.what_if else None
        if named:
            wrapped = named.wrap(max(1, width - len(_INSET)), overflow="fold")
            yield from (Content(_INSET) + line for line in wrapped)
    left = card.usable_bytes - sum(term.size_bytes for term in parts)
    of = f"of {_gib(card.usable_bytes)} GiB"
    if left >= 0:
        yield _line(Term("free", _FREE, "$bar-free", left, of))
    else:
        yield _line(Term("short", _CARD_ENDS, "bold $verdict-no", -left, of))


def _named(others: Sequence[GpuProcess]) -> Content:
    named = [
        f"{process.name or f'process {process.pid}'} {_gib(process.used_bytes)}"
        for process in others
        if process.used_bytes
    ]
    return Content.styled(", ".join(named[:_MOST_NAMED]), MUTED)


def _line(term: Term) -> Content:
    text = f" {term.label:<13}{_gib(term.size_bytes):>6}"
    note = f"  {term.note}" if term.note else ""
    if term.style == "$bar-other":  # not the model's: steps back, at a third of the bytes
        return Content.styled(term.glyph + text + note, MUTED)
    return Content.assemble((term.glyph, term.style), text, (note, MUTED))


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.2f}"


def _in_ram(size_bytes: int) -> str:
    return f"+{gib_number(size_bytes)} RAM" if size_bytes >= GIB // 200 else ""
