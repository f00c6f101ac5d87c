"""How a download is written in a line: how far, how fast, how long yet, and what is wrong."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.pulls.types import PullProgress, PullState
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import file_size

_BAR_CELLS: Final = 20
_NARROWEST: Final = 12
_WORDS: Final = {
    PullState.QUEUED: "queued",
    PullState.VERIFYING: "verifying",
    PullState.PLACING: "putting in place",
    PullState.PAUSED: "paused",
    PullState.WAITING: "waits",
    PullState.DONE: "done",
    PullState.FAILED: "failed",
    PullState.CANCELLED: "cancelled",
}


def percent(pull: PullProgress) -> int | None:
    """Of its bytes, rounded down: 100 is said only when all has come; None where unknown."""
    if not pull.total_bytes:
        return None
    return min(100, pull.done_bytes * 100 // pull.total_bytes)


def rate_text(pull: PullProgress) -> str:
    """``83 MB/s``; empty while nothing moves."""
    return f"{file_size(round(pull.bytes_per_second))}/s" if pull.bytes_per_second else ""


def left_text(pull: PullProgress) -> str:
    """``0:34``, ``1:02:10``; empty where it cannot be told."""
    if pull.seconds_left is None:
        return ""
    minutes, seconds = divmod(round(pull.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    if hours > 99:
        return ">99 h"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def bytes_text(pull: PullProgress) -> str:
    """``2.1 GB of 5.0 GB``; only what has come where the whole is unknown."""
    done = file_size(pull.done_bytes)
    return f"{done} of {file_size(pull.total_bytes)}" if pull.total_bytes else done


def state_text(pull: PullProgress, now: float) -> str:
    """What it does now, and why it waits.

    Args:
        pull: the download.
        now: seconds since 1970.
    """
    if pull.state is PullState.RUNNING:
        parts = [rate_text(pull), left_text(pull)]
        return "  ".join(part for part in parts if part) or clean_line(pull.note, 60)
    word = _WORDS[pull.state]
    percents = [one.verified_percent for one in pull.files if one.verified_percent is not None]
    if pull.state is PullState.VERIFYING and percents:
        return f"{word} {percents[-1]} %"
    if pull.state is PullState.WAITING and pull.retry_at is not None:
        return f"waits {max(0, round(pull.retry_at - now))} s: {clean_line(pull.problem, 80)}"
    return word


def bar(pull: PullProgress, cells: int) -> str:
    """A bar of so many cells."""
    share = percent(pull) or 0
    full = cells * share // 100
    return "━" * full + "─" * (cells - full)


def progress_line(pull: PullProgress, columns: int, now: float) -> str:
    """A download in one line of so many columns."""
    share = percent(pull)
    figure = f"{share:3}%" if share is not None else "   –"
    text = f"{figure}  {bytes_text(pull)}  {state_text(pull, now)}"
    name = clean_line(pull.title)
    room = columns - 1 - len(text) - _BAR_CELLS - 4
    if room >= _NARROWEST:
        shown = name if len(name) <= room else f"{name[: room - 1]}…"
        return f"{shown}  {bar(pull, _BAR_CELLS)}  {text}"[: columns - 1]
    room = max(_NARROWEST, columns - 1 - len(text) - 2)
    shown = name if len(name) <= room else f"{name[: room - 1]}…"
    return f"{shown}  {text}"[: columns - 1]
