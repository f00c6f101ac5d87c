"""What the Pulls place knows, as frozen records; every change is a new record. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from modeldeck.engines.pulls.types import PullProgress, PullState
from modeldeck.tui.state import Notice, PullsBrief

MOVING: Final = frozenset({PullState.RUNNING, PullState.VERIFYING, PullState.PLACING})
"""States in which something is done now."""


class PullsNews(NamedTuple):
    """What whoever does the pulls says of them.

    Attributes:
        pulls: every one that is kept, ended ones too.
        limit_bytes_per_second: of all together; None for no limit.
        running: the background process is there.
    """

    pulls: tuple[PullProgress, ...] = ()
    limit_bytes_per_second: int | None = None
    running: bool = False


class PullsState(NamedTuple):
    """Everything the Pulls place is drawn from.

    Attributes:
        pulls: in the order shown: what is to be done, then what has ended, the newest first.
        limit_bytes_per_second: of all together; None for no limit.
        running: the background process is there.
        trouble: why nothing can be said of the pulls, or something could not be done.
        asking: id of the pull that is cancelled with the next press; empty for none.
    """

    pulls: tuple[PullProgress, ...] = ()
    limit_bytes_per_second: int | None = None
    running: bool = False
    trouble: Notice | None = None
    asking: str = ""

    def pull(self, pull_id: str | None) -> PullProgress | None:
        """The pull of a row, or None."""
        return next((one for one in self.pulls if one.id == pull_id), None)

    @property
    def to_do(self) -> tuple[PullProgress, ...]:
        """Those that have not ended."""
        return tuple(one for one in self.pulls if not one.state.is_final)

    def with_news(self, news: PullsNews) -> PullsState:
        """The same after ``news``."""
        asked = next((one for one in news.pulls if one.id == self.asking), None)
        still = self.asking if asked is not None and not asked.state.is_final else ""
        return PullsState(
            ordered(news.pulls), news.limit_bytes_per_second, news.running, None, still
        )

    def ended_since(self, before: PullsState) -> tuple[PullProgress, ...]:
        """The pulls that were done between ``before`` and now."""
        earlier = {one.id: one.state for one in before.pulls}
        return tuple(
            one
            for one in self.pulls
            if one.state is PullState.DONE
            and earlier.get(one.id, PullState.DONE) is not PullState.DONE
        )

    @property
    def brief(self) -> PullsBrief:
        """What the top line says: how many are to be done, and how far they are."""
        active = [one for one in self.to_do if one.state is not PullState.PAUSED]
        return PullsBrief(len(active), percent_of(active))


def ordered(pulls: Iterable[PullProgress]) -> tuple[PullProgress, ...]:
    """What is to be done in the order given, then what has ended, the newest first."""
    listed = tuple(pulls)
    ended = [one for one in listed if one.state.is_final]
    ended.sort(key=lambda one: one.ended_at or 0.0, reverse=True)
    return (*(one for one in listed if not one.state.is_final), *ended)


def percent_of(pulls: Iterable[PullProgress]) -> int | None:
    """How far all of them are together, never rounded up; None where a size is unknown."""
    listed = tuple(pulls)
    totals = [one.total_bytes for one in listed if one.total_bytes is not None]
    if not listed or len(totals) < len(listed) or not sum(totals):
        return None
    return min(100, 100 * sum(one.done_bytes for one in listed) // sum(totals))


class Total(NamedTuple):
    """All pulls that are to be done, together.

    Attributes:
        done_bytes: of them.
        total_bytes: None where a size is unknown.
        bytes_per_second: None while nothing moves.
        seconds_left: at that rate; None where it cannot be told.
    """

    done_bytes: int
    total_bytes: int | None
    bytes_per_second: float | None
    seconds_left: float | None


def total_of(pulls: Iterable[PullProgress]) -> Total:
    """The sum over ``pulls``."""
    listed = tuple(pulls)
    sizes = [one.total_bytes for one in listed]
    known = [size for size in sizes if size is not None]
    done = sum(one.done_bytes for one in listed)
    rates = [one.bytes_per_second for one in listed if one.bytes_per_second is not None]
    total = sum(known) if len(known) == len(listed) else None
    rate = sum(rates) if rates else None
    left = (total - done) / rate if total is not None and rate else None
    return Total(done, total, rate, left)
