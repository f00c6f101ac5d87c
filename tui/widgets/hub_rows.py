"""Repositories and their variants as rows of a list. Pure."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.text import clean_line
from modeldeck.engines.units import age_text, tokens_text
from modeldeck.tui.hub_state import Opened, Repository, Variant
from modeldeck.tui.widgets.columns import Column
from modeldeck.tui.widgets.model_rows import (
    GLYPHS,
    JUDGING,
    NOTHING,
    kind_words,
    size_text,
    speed_text,
)
from modeldeck.tui.widgets.rows import Cell, Row

REPOSITORY_COLUMNS: Final = (
    Column("name", "REPOSITORY", 32, flexible=True),
    Column("formats", "FORMAT", 11),
    Column("parameters", "PARAMS", 6, align="right", priority=2),
    Column("downloads", "PULLED", 6, align="right"),
    Column("likes", "LIKES", 5, align="right", priority=3),
    Column("updated", "UPDATED", 9, align="right", priority=1),
)
VARIANT_COLUMNS: Final = (
    Column("mark", "", 1),
    Column("label", "VARIANT", 12, flexible=True),
    Column("size", "SIZE", 6, align="right"),
    Column("verdict", "VERDICT", 19),
    Column("context", "MAX CTX", 7, align="right", priority=2),
    Column("speed", "TOK/S", 6, align="right", priority=1),
)
MARK: Final = "✓"
READING: Final = Cell("… reading", "muted")


def count_text(count: int) -> str:
    """A count in at most five cells: ``812``, ``34k``, ``1.2M``."""
    if count < 1000:
        return str(count)
    if count < 999_500:
        return f"{count / 1e3:.1f}k" if count < 9950 else f"{count / 1e3:.0f}k"
    millions = count / 1e6
    return f"{millions:.1f}M" if millions < 99.95 else f"{millions:.0f}M"


def parameters_text(parameters: int) -> str:
    """Parameters in at most five cells: ``494M``, ``14.8B``, ``671B``."""
    if parameters < 999_500_000:
        return f"{parameters / 1e6:.0f}M"
    billions = parameters / 1e9
    return f"{billions:.1f}B" if billions < 99.95 else f"{billions:.0f}B"


def since_text(seconds: float) -> str:
    """How long ago, in eight cells: ``3 days``, ``5 months``, ``2 years``."""
    days = seconds / 86400
    if days < 60:
        return age_text(max(0.0, seconds)).replace("minute", "min").replace("second", "sec")
    if days < 730:
        return f"{days / 30.44:.0f} months"
    return f"{days / 365.25:.0f} years"


def repository_row(found: Repository, now: float) -> Row:
    """The row of one repository; ``now`` in seconds since 1970."""
    return Row(
        found.name,
        (
            Cell(clean_line(found.name)),
            _formats(found),
            Cell(parameters_text(found.parameters)) if found.parameters else NOTHING,
            Cell(count_text(found.downloads)) if found.downloads is not None else NOTHING,
            Cell(count_text(found.likes)) if found.likes is not None else NOTHING,
            Cell(since_text(now - found.updated), "muted") if found.updated else NOTHING,
        ),
    )


def _formats(found: Repository) -> Cell:
    formats = clean_line(" ".join(found.formats[:1] if found.gated else found.formats))
    if found.gated:
        return Cell(f"{formats} gated".strip(), "warn")
    return Cell(formats, "muted") if formats else NOTHING


def variant_row(variant: Variant, opened: Opened) -> Row:
    """The row of one variant of the repository that is looked into."""
    verdict = variant.verdict
    context = verdict.max_context_tokens if verdict else None
    speed = speed_text(verdict)
    best = opened.best is not None and opened.best.target == variant.target
    label = clean_line(variant.label)
    return Row(
        variant.target,
        (
            Cell(MARK if variant.target in opened.marked else "", "accent"),
            Cell(f"{label}  best here" if best else label, "accent" if best else ""),
            Cell(size_text(variant.size_bytes)) if variant.size_bytes is not None else NOTHING,
            variant_verdict(variant),
            Cell(tokens_text(context)) if context else NOTHING,
            Cell(speed) if speed else NOTHING,
        ),
    )


def variant_verdict(variant: Variant) -> Cell:
    """Glyph and words, as in the list of models."""
    if variant.trouble is not None:
        return Cell("? not judged", "$verdict-unknown")
    if variant.header is None:
        return READING
    verdict = variant.verdict
    if verdict is None:
        return JUDGING
    glyph, style = GLYPHS[verdict.kind]
    written = variant.format.written if variant.format is not None else ""
    return Cell(f"{glyph} {kind_words(verdict, written)}", style)
