"""A model and its verdict as a row of the list. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from modeldeck.engines.fit.types import Verdict, VerdictKind
from modeldeck.engines.types import LocalModel
from modeldeck.engines.units import tokens_text
from modeldeck.tui.widgets.row_list import Cell, Column, Row, Tone

COLUMNS: Final = (
    Column("name", "MODEL", 16, flexible=True),
    Column("quant", "QUANT", 8),
    Column("size", "SIZE", 6, right=True),
    Column("verdict", "VERDICT", 21),
    Column("context", "MAX CTX", 7, right=True, priority=2),
    Column("speed", "TOK/S", 6, right=True, priority=1),
)

_GLYPHS: Final[Mapping[VerdictKind, tuple[str, Tone]]] = {
    VerdictKind.FITS: ("●", "good"),
    VerdictKind.FITS_EXPERTS_ON_CPU: ("◑", "part"),
    VerdictKind.FITS_PARTIAL: ("◐", "part"),
    VerdictKind.CPU_ONLY: ("○", "cpu"),
    VerdictKind.DOES_NOT_FIT: ("✕", "bad"),
    VerdictKind.CANNOT_RUN: ("✕", "bad"),
    VerdictKind.NOT_JUDGED: ("?", "muted"),
}
_ORDER: Final = tuple(_GLYPHS)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one row is made from."""

    model: LocalModel
    verdict: Verdict | None
    loaded: bool = False


def size_text(size_bytes: int) -> str:
    """Decimal gigabytes, as stores and shops count: ``8.4G``; small files in ``M``."""
    if size_bytes >= 99.95e9:
        return f"{size_bytes / 1e9:.0f}G"
    if size_bytes >= 0.995e9:
        return f"{size_bytes / 1e9:.1f}G"
    return (
        f"{max(size_bytes / 1e6, 0.1):.0f}M" if size_bytes >= 9.95e6 else f"{size_bytes / 1e6:.1f}M"
    )


def verdict_words(verdict: Verdict) -> str:
    """The verdict in a word or three."""
    match verdict.kind:
        case VerdictKind.FITS:
            return "fits"
        case VerdictKind.FITS_PARTIAL:
            return f"{verdict.layers_gpu} of {verdict.layers} layers"
        case VerdictKind.FITS_EXPERTS_ON_CPU:
            return "experts on CPU"
        case VerdictKind.CPU_ONLY:
            return "CPU only"
        case VerdictKind.DOES_NOT_FIT:
            return "does not fit"
        case VerdictKind.CANNOT_RUN:
            return "cannot run here"
        case VerdictKind.NOT_JUDGED:
            return "not judged yet"


def verdict_cell(entry: Entry) -> Cell:
    """Glyph and words: colour is never the only carrier."""
    if entry.model.problem is not None:
        return Cell("✕ cannot be used", "bad")
    if entry.verdict is None:
        return Cell("… judging", "muted")
    glyph, tone = _GLYPHS[entry.verdict.kind]
    return Cell(f"{glyph} {verdict_words(entry.verdict)}", tone)


def speed_text(verdict: Verdict | None) -> str:
    """A predicted decode rate, marked ``~``."""
    if verdict is None or verdict.decode_tps is None:
        return "–"
    middle = verdict.decode_tps[1]
    return f"~{middle:.0f}" if middle >= 10 else f"~{middle:.1f}"


def model_row(entry: Entry) -> Row:
    """The row of one model."""
    model, verdict, header = entry.model, entry.verdict, entry.model.header
    context = verdict.max_context_tokens if verdict else None
    mark = "▶ " if entry.loaded else ""
    return Row(
        model.id,
        (
            Cell(mark + model.name, "accent" if entry.loaded else ""),
            Cell(header.quantisation if header else "", "muted"),
            Cell(size_text(model.size_bytes)),
            verdict_cell(entry),
            Cell(tokens_text(context) if context else "–"),
            Cell(speed_text(verdict)),
        ),
    )


def _rank(entry: Entry) -> int:
    if entry.model.problem is not None:
        return len(_ORDER) + 1
    return _ORDER.index(entry.verdict.kind) if entry.verdict else len(_ORDER)


_KEYS: Final[Mapping[str, Callable[[Entry], tuple[float, str]]]] = {
    "name": lambda e: (0, e.model.name.lower()),
    "quant": lambda e: (0, e.model.header.quantisation if e.model.header else "~"),
    "size": lambda e: (e.model.size_bytes, e.model.name.lower()),
    "verdict": lambda e: (_rank(e), e.model.name.lower()),
    "context": lambda e: (-((e.verdict and e.verdict.max_context_tokens) or 0), e.model.name),
    "speed": lambda e: (
        -(e.verdict.decode_tps[1] if e.verdict and e.verdict.decode_tps else 0),
        e.model.name,
    ),
}
SORTS: Final = tuple(_KEYS)


def sorted_entries(entries: Sequence[Entry], by: str) -> list[Entry]:
    """Entries by a column: the best verdict first, contexts and rates falling, the rest rising."""
    return sorted(entries, key=_KEYS[by])
