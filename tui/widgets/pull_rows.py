"""Pulls as rows of a list, and the words for bytes, rates and times. Pure."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.pulls.types import PullProgress, PullState
from modeldeck.engines.text import clean_line
from modeldeck.tui.widgets.columns import Column
from modeldeck.tui.widgets.model_rows import NOTHING, size_text
from modeldeck.tui.widgets.rows import Cell, Row

BAR_CELLS: Final = 12
COLUMNS: Final = (
    Column("title", "PULL", 18, flexible=True),
    Column("state", "STATE", 11),
    Column("bar", "", BAR_CELLS, priority=1),
    Column("percent", "DONE", 4, align="right"),
    Column("size", "OF", 6, align="right", priority=2),
    Column("rate", "RATE", 8, align="right"),
    Column("left", "LEFT", 7, align="right"),
)
_STATES: Final = {
    PullState.QUEUED: ("○ queued", "muted"),
    PullState.RUNNING: ("▶ pulling", "accent"),
    PullState.VERIFYING: ("▶ verifying", "accent"),
    PullState.PLACING: ("▶ placing", "accent"),
    PullState.PAUSED: ("Ⅱ paused", "warn"),
    PullState.WAITING: ("… waiting", "warn"),
    PullState.DONE: ("● done", "good"),
    PullState.FAILED: ("✕ failed", "bad"),
    PullState.CANCELLED: ("– cancelled", "muted"),
}
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def bar_text(done_bytes: int, total_bytes: int | None, cells: int) -> str:
    """A bar of eighths of cells; empty where the size is unknown."""
    if not total_bytes:
        return ""
    eighths = min(8 * cells, 8 * cells * done_bytes // total_bytes)
    whole, rest = divmod(eighths, 8)
    bar = "█" * whole + (_EIGHTHS[rest] if rest else "")
    return bar + "·" * (cells - len(bar))


def percent_text(done_bytes: int, total_bytes: int | None) -> str:
    """A share, never rounded up; empty where the size is unknown."""
    return f"{min(100, 100 * done_bytes // total_bytes)}%" if total_bytes else ""


def rate_text(bytes_per_second: float) -> str:
    """A rate in decimal units, in eight cells: ``48 MB/s``, ``1.2 GB/s``."""
    if bytes_per_second >= 999.5e6:
        return f"{bytes_per_second / 1e9:.1f} GB/s"
    if bytes_per_second >= 9.95e6:
        return f"{bytes_per_second / 1e6:.0f} MB/s"
    if bytes_per_second >= 0.9995e6:
        return f"{bytes_per_second / 1e6:.1f} MB/s"
    return f"{bytes_per_second / 1e3:.0f} kB/s"


def time_text(seconds: float) -> str:
    """How long, in seven cells: ``42 s``, ``6 min``, ``3 h 20``; never less than a second."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02}"
    return f"{hours // 24} d {hours % 24} h" if hours < 2400 else f"{hours // 24} d"


def state_cell(pull: PullProgress) -> Cell:
    """Glyph and word: colour is never the only carrier."""
    text, style = _STATES[pull.state]
    return Cell(text, style)


def _bar_style(pull: PullProgress) -> str:
    return "accent" if _STATES[pull.state][1] == "accent" else "muted"


def pull_row(pull: PullProgress) -> Row:
    """The row of one pull."""
    done, total = pull.done_bytes, pull.total_bytes
    ended = pull.state.is_final
    percent = percent_text(done, total)
    rate, left = pull.bytes_per_second, pull.seconds_left
    return Row(
        pull.id,
        (
            Cell(clean_line(pull.title), "muted" if ended else ""),
            state_cell(pull),
            Cell("" if ended else bar_text(done, total, BAR_CELLS), _bar_style(pull)),
            Cell(percent) if percent and not ended else Cell(""),
            Cell(size_text(total)) if total is not None else NOTHING,
            Cell(rate_text(rate)) if rate is not None and not ended else Cell(""),
            Cell(time_text(left)) if left is not None and not ended else Cell(""),
        ),
    )
