"""The queue of pulls: what runs next, what waits, what is over. Every change is a new queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from modeldeck.engines.pulls.types import Destination, PullState

AT_ONCE: Final = 2
"""Pulls that run at the same time unless set."""

MOST: Final = 500
_MOST_ENDED: Final = 200
_MOST_ATTEMPTS: Final = 30
_FIRST_PAUSE_SECONDS: Final = 4.0
_LONGEST_PAUSE_SECONDS: Final = 600.0
_BUSY: Final = (PullState.RUNNING, PullState.VERIFYING, PullState.PLACING)
_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Item:
    """One pull in the queue.

    Attributes:
        id: unique in the queue.
        target: as it was asked for.
        destination: where it goes.
        endpoint: address of the Hub it is asked of; empty for the usual one.
        night: it runs in the night window only.
        pickles: weights in pickles are wanted too.
        state: where it stands.
        priority: higher ones run first.
        attempts: failures since something came last.
        title: for people.
        note: what happened last; may be empty.
        problem: what went wrong; empty unless it failed or waits to be tried again.
        next_step: what to do about it.
        retry_at: when a waiting one goes on, in seconds since 1970.
        asked_at: when it was asked for, in seconds since 1970.
        ended_at: when it was over; None before.
        done_bytes: that have come.
        total_bytes: None while that is not known.
        placed: paths of what was put in place.
        parts: paths that its part files have, once that is known.
    """

    id: str
    target: str
    destination: Destination
    endpoint: str = ""
    night: bool = False
    pickles: bool = False
    state: PullState = PullState.QUEUED
    priority: int = 0
    attempts: int = 0
    title: str = ""
    note: str = ""
    problem: str = ""
    next_step: str = ""
    retry_at: float | None = None
    asked_at: float = 0.0
    ended_at: float | None = None
    done_bytes: int = 0
    total_bytes: int | None = None
    placed: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def is_busy(self) -> bool:
        """It is at work."""
        return self.state in _BUSY


@dataclass(frozen=True, slots=True)
class Night:
    """The hours in which pulls for the night run.

    Attributes:
        begins: minute of the day.
        ends: minute of the day; before ``begins`` when midnight lies between.
    """

    begins: int = 23 * 60
    ends: int = 7 * 60

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day is in it."""
        length = (self.ends - self.begins) % _MINUTES
        return (minute - self.begins) % _MINUTES < length


@dataclass(frozen=True, slots=True)
class Queue:
    """All pulls, and what they share.

    Attributes:
        items: in the order they were asked for.
        at_once: pulls that run at the same time.
        bytes_per_second: that all may take together; None for no limit.
        night: when pulls for the night run.
    """

    items: tuple[Item, ...] = ()
    at_once: int = AT_ONCE
    bytes_per_second: int | None = None
    night: Night = field(default_factory=Night)

    def find(self, item_id: str) -> Item | None:
        """The pull of that id."""
        return next((item for item in self.items if item.id == item_id), None)

    @property
    def is_idle(self) -> bool:
        """Nothing will happen by itself."""
        return all(item.state.is_final or item.state is PullState.PAUSED for item in self.items)


def added(queue: Queue, item: Item) -> tuple[Queue, Item]:
    """With one more pull; one that does the same already is taken for it.

    Returns:
        The queue, and the pull that stands for what was asked.
    """
    for other in queue.items:
        same = (other.target, other.destination) == (item.target, item.destination)
        if same and not other.state.is_final:
            woken = other
            if other.state in (PullState.PAUSED, PullState.WAITING):
                woken = replace(other, state=PullState.QUEUED, retry_at=None)
            return _with(queue, woken), woken
    return _trimmed(replace(queue, items=(*queue.items, item))), item


def to_start(queue: Queue, now: float, minute: int) -> tuple[str, ...]:
    """The pulls to start now, the first to be started first.

    Args:
        queue: as it is.
        now: seconds since 1970.
        minute: of the day, by the clock on the wall.
    """
    free = queue.at_once - sum(item.is_busy for item in queue.items)
    ready = [
        (-item.priority, number, item.id)
        for number, item in enumerate(queue.items)
        if _is_ready(item, now) and (not item.night or queue.night.holds(minute))
    ]
    return tuple(item_id for _, _, item_id in sorted(ready)[: max(0, free)])


def to_stop(queue: Queue, minute: int) -> tuple[str, ...]:
    """The pulls at work that should be at work no more: their night is over."""
    return tuple(
        item.id
        for item in queue.items
        if item.is_busy and item.night and not queue.night.holds(minute)
    )


def changed(queue: Queue, item_id: str, change: Callable[[Item], Item]) -> Queue:
    """With one pull changed; the same queue where there is no such pull."""
    item = queue.find(item_id)
    return queue if item is None else _with(queue, change(item))


def paused(item: Item) -> Item:
    """Held until somebody lets it go on; one that is over stays so."""
    return item if item.state.is_final else replace(item, state=PullState.PAUSED, retry_at=None)


def resumed(item: Item) -> Item:
    """In the queue again: one that was paused, waits, failed or was cancelled."""
    if item.is_busy or item.state is PullState.DONE:
        return item
    return replace(
        item,
        state=PullState.QUEUED,
        attempts=0,
        problem="",
        next_step="",
        note="",
        retry_at=None,
        ended_at=None,
    )


def cancelled(item: Item, now: float) -> Item:
    """Given up; one that is over stays as it is."""
    if item.state.is_final:
        return item
    return replace(item, state=PullState.CANCELLED, retry_at=None, ended_at=now)


def given_up(queue: Queue, item_id: str) -> tuple[str, ...]:
    """The part files that a cancelled pull leaves and no other pull goes on with."""
    item = queue.find(item_id)
    if item is None or item.state is not PullState.CANCELLED:
        return ()
    kept = {part for other in queue.items if not _is_given_up(other) for part in other.parts}
    return tuple(part for part in item.parts if part not in kept)


def _is_given_up(item: Item) -> bool:
    return item.state in (PullState.CANCELLED, PullState.DONE)


def stopped(item: Item) -> Item:
    """At work no more, and back in the queue; a pause or an end stays one."""
    return replace(item, state=PullState.QUEUED) if item.is_busy else item


def done(item: Item, now: float, placed: tuple[str, ...]) -> Item:
    """All of it is in place."""
    return replace(
        item,
        state=PullState.DONE,
        ended_at=now,
        placed=placed,
        problem="",
        next_step="",
        retry_at=None,
    )


def failed(item: Item, now: float, cause: str, next_step: str) -> Item:
    """It cannot go on by itself; a pull that was paused or cancelled meanwhile stays that."""
    if not item.is_busy:
        return item
    return replace(
        item, state=PullState.FAILED, ended_at=now, problem=cause, next_step=next_step, note=""
    )


def to_be_tried_again(
    item: Item,
    now: float,
    cause: str,
    next_step: str,
    *,
    asked_seconds: float | None,
    jitter: float,
) -> Item:
    """It waits for its next attempt, longer each time; in the end it has failed.

    Args:
        item: at work.
        now: seconds since 1970.
        cause: what went wrong.
        next_step: what to do about it.
        asked_seconds: what the server asked for; None when it did not.
        jitter: from 0 to 1, so that many do not come back at once.
    """
    if not item.is_busy:
        return item
    attempts = item.attempts + 1
    if attempts > _MOST_ATTEMPTS:
        return failed(item, now, cause, next_step)
    pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(attempts - 1, 16))
    pause = max(asked_seconds or 0.0, pause * (1 + jitter / 4))
    return replace(
        item,
        state=PullState.WAITING,
        attempts=attempts,
        retry_at=now + pause,
        problem=cause,
        next_step=next_step,
    )


def first(queue: Queue, item_id: str) -> Queue:
    """With one pull before all others."""
    top = max((item.priority for item in queue.items if not item.state.is_final), default=0)
    return changed(queue, item_id, lambda item: replace(item, priority=top + 1))


def cleared(queue: Queue) -> Queue:
    """Without the pulls that are over."""
    return replace(queue, items=tuple(item for item in queue.items if not item.state.is_final))


def woken(queue: Queue) -> Queue:
    """As a process that starts finds it: what was at work when the last one ended is queued."""
    return replace(queue, items=tuple(stopped(item) for item in queue.items))


def next_look(queue: Queue, now: float) -> float:
    """Seconds until the queue should be looked at again without anything having happened."""
    waits = [item.retry_at - now for item in queue.items if item.retry_at is not None]
    return max(0.0, min([30.0, *waits]))


def _is_ready(item: Item, now: float) -> bool:
    if item.state is PullState.WAITING:
        # A clock that was set back must not let it wait for ever.
        retry_at = item.retry_at or 0.0
        return retry_at <= now or retry_at > now + 24 * 3600
    return item.state is PullState.QUEUED


def _with(queue: Queue, item: Item) -> Queue:
    items = tuple(item if other.id == item.id else other for other in queue.items)
    return replace(queue, items=items)


def _trimmed(queue: Queue) -> Queue:
    """Without the oldest of those that are over, where there are too many."""
    over = [item.id for item in queue.items if item.state.is_final]
    gone = set(over[: max(0, len(over) - _MOST_ENDED)])
    return replace(queue, items=tuple(item for item in queue.items if item.id not in gone))
