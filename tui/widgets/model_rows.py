"""A model and its verdict as a row of the list. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from modeldeck.engines.fit.types import Verdict, VerdictKind
from modeldeck.engines.types import LocalModel
from modeldeck.engines.units import tokens_text
from modeldeck.tui.widgets.columns import Column
from modeldeck.tui.widgets.rows import Cell, Row

COLUMNS: Final = (
    Column("name", "MODEL", 20, flexible=True),
    Column("quant", "QUANT", 8),
    Column("size", "SIZE", 6, align="right"),
    Column("verdict", "VERDICT", 19),
    Column("context", "MAX CTX", 7, align="right", priority=2),
    Column("speed", "TOK/S", 6, align="right", priority=1),
)

NOTHING: Final = Cell("–", "muted")
JUDGING: Final = Cell("… judging", "muted")
UNUSABLE: Final = Cell("✕ cannot be read", "$verdict-no")
GLYPHS: Final[Mapping[VerdictKind, tuple[str, str]]] = {
    VerdictKind.FITS: ("●", "$verdict-fits"),
    VerdictKind.FITS_EXPERTS_ON_CPU: ("◑", "$verdict-experts"),
    VerdictKind.FITS_PARTIAL: ("◐", "$verdict-partial"),
    VerdictKind.CPU_ONLY: ("○", "$verdict-cpu"),
    VerdictKind.DOES_NOT_FIT: ("✕", "$verdict-no"),
    VerdictKind.CANNOT_RUN: ("✕", "$verdict-no"),
    VerdictKind.NOT_JUDGED: ("?", "$verdict-unknown"),
}
"""Glyph and style of each verdict."""
_RANKS: Final = {kind: rank for rank, kind in enumerate(GLYPHS)}
_DIGITS: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one row is made from.

    Attributes:
        model: as it was found.
        verdict: None while it is being judged.
        loaded: an engine holds it now.
        measured_tps: decode rate measured on this machine; None when it never was.
    """

    model: LocalModel
    verdict: Verdict | None = None
    loaded: bool = False
    measured_tps: float | None = None


def short_name(model: LocalModel) -> str:
    """The model's name without its quantisation, which has a column of its own."""
    name = model.name
    quantisation = model.header.quantisation if model.header else ""
    stem = name[: -len(quantisation)] if quantisation else name
    if len(stem) > 1 and stem[-1] in "-._" and name.upper().endswith(quantisation.upper()):
        return stem[:-1]
    return name


def short_quantisation(label: str) -> str:
    """What a column of eight cells can say of it: ``GPTQ 4``, ``4.25 bpw``; GGUF's as they are."""
    if label.endswith(" bpw"):
        return label.partition(" ")[2]
    return label.partition("-bit")[0]


def size_text(size_bytes: int) -> str:
    """Decimal gigabytes, as the stores count: ``8.4G``, ``246G``; small files in ``M``."""
    if size_bytes >= 99.95e9:
        return f"{size_bytes / 1e9:.0f}G"
    if size_bytes >= 0.9995e9:
        return f"{size_bytes / 1e9:.1f}G"
    return f"{size_bytes / 1e6:.0f}M" if size_bytes >= 9.95e6 else f"{size_bytes / 1e6:.1f}M"


def kind_words(verdict: Verdict, written: str) -> str:
    """The verdict in a word or three, on weights in the format that is ``written`` like this."""
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
        case VerdictKind.CANNOT_RUN if verdict.source == "policy":
            return f"no {written} engine"
        case VerdictKind.CANNOT_RUN:
            return "cannot run here"
        case VerdictKind.NOT_JUDGED:
            return "not judged yet"


def verdict_cell(entry: Entry) -> Cell:
    """Glyph and words: colour is never the only carrier."""
    if entry.model.problem is not None:
        return UNUSABLE
    if entry.verdict is None:
        return JUDGING
    glyph, style = GLYPHS[entry.verdict.kind]
    return Cell(f"{glyph} {kind_words(entry.verdict, entry.model.format.written)}", style)


def speed_text(verdict: Verdict | None, measured_tps: float | None = None) -> str:
    """A decode rate in tokens/s: bare when it was measured here, ``~`` when it is predicted."""
    if measured_tps is not None:
        return f"{measured_tps:.0f}" if measured_tps >= 99.95 else f"{measured_tps:.1f}"
    if verdict is None or verdict.decode_tps is None:
        return ""
    middle = verdict.decode_tps[1]
    return f"~{middle:.0f}" if middle >= 1 else f"~{middle:.1f}"


def model_row(entry: Entry) -> Row:
    """The row of one model."""
    model, verdict, header = entry.model, entry.verdict, entry.model.header
    name, context = short_name(model), verdict.max_context_tokens if verdict else None
    speed = speed_text(verdict, entry.measured_tps)
    return Row(
        model.id,
        (
            Cell(f"▶ {name}", "accent") if entry.loaded else Cell(name),
            Cell(short_quantisation(header.quantisation), "muted") if header else NOTHING,
            Cell(size_text(model.size_bytes)),
            verdict_cell(entry),
            Cell(tokens_text(context)) if context else NOTHING,
            Cell(speed) if speed else NOTHING,
        ),
    )


class MadeRows:
    """Makes rows, and a row again only when something it is made from is another object."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Entry, Row]] = {}

    def of(self, entries: Sequence[Entry]) -> tuple[Row, ...]:
        """The rows of ``entries``, in order. Those of other entries are forgotten."""
        before, self._made = self._made, {}
        for entry in entries:
            made = before.get(entry.model.id)
            if made is None or not _same(made[0], entry):
                made = (entry, model_row(entry))
            self._made[entry.model.id] = made
        return tuple(row for _, row in self._made.values())


def _same(one: Entry, other: Entry) -> bool:
    return (
        one.model is other.model
        and one.verdict is other.verdict
        and one.loaded == other.loaded
        and one.measured_tps == other.measured_tps
    )


def _name_key(entry: Entry) -> str:
    return _orderly(entry.model.name)


@lru_cache(1 << 15)
def _orderly(name: str) -> str:
    """Names as people order them: ``8B`` before ``14B``, whatever the case."""
    return _DIGITS.sub(lambda digits: digits[0].zfill(6), name.casefold())


def _rank(entry: Entry) -> int:
    if entry.model.problem is not None:
        return len(_RANKS) + 1
    return _RANKS[entry.verdict.kind] if entry.verdict else len(_RANKS)


def _quantisation(entry: Entry) -> str:
    return entry.model.header.quantisation if entry.model.header else "\U0010ffff"


def _context(entry: Entry) -> int:
    return -((entry.verdict and entry.verdict.max_context_tokens) or 0)


def _speed(entry: Entry) -> float:
    if entry.measured_tps is not None:
        return -entry.measured_tps
    rates = entry.verdict.decode_tps if entry.verdict else None
    return -rates[1] if rates else 0.0


_KEYS: Final[Mapping[str, Callable[[Entry], float | str] | None]] = {
    "name": None,
    "quant": _quantisation,
    "size": lambda entry: entry.model.size_bytes,
    "verdict": _rank,
    "context": _context,
    "speed": _speed,
}
SORTS: Final = tuple(_KEYS)
"""The columns that rows can be sorted by."""


def sorted_entries(entries: Sequence[Entry], by: str) -> list[Entry]:
    """``entries`` by a column, equal ones by name.

    The best verdict comes first; contexts and rates fall, names, quantisations and sizes rise.
    Raises KeyError for a column that is none.
    """
    key = _KEYS[by]
    by_name = sorted(entries, key=_name_key)
    return by_name if key is None else sorted(by_name, key=key)
