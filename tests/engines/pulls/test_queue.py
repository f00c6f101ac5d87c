"""What runs next, what waits, and what is over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.pulls import queue as q
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.queue import Item, Night, Queue
from modeldeck.engines.pulls.types import Destination, Layout, PullState
from modeldeck.engines.pulls.wire import queue_of, queue_text

HERE = Destination(Layout.FOLDER, Path("/models"))
NOON, MIDNIGHT = 12 * 60, 0


def item(name: str, state: PullState = PullState.QUEUED, *, night: bool = False) -> Item:
    return Item(name, f"hf:o/{name}", HERE, state=state, night=night)


def queue(*items: Item) -> Queue:
    return Queue(items)


def test_pulls_start_in_the_order_they_were_asked_for_so_many_at_once() -> None:
    many = queue(item("a"), item("b"), item("c"))
    assert q.to_start(many, 0, NOON) == ("a", "b")
    running = q.changed(many, "a", lambda one: replace(one, state=PullState.RUNNING))
    assert q.to_start(running, 0, NOON) == ("b",)


def test_one_put_first_overtakes_the_others() -> None:
    many = q.first(queue(item("a"), item("b"), item("c")), "c")
    assert q.to_start(many, 0, NOON) == ("c", "a")
    assert q.to_start(q.first(many, "b"), 0, NOON) == ("b", "c")


def test_asking_twice_is_one_pull() -> None:
    one = queue(item("a"))
    same, stands = q.added(one, replace(item("other"), target="hf:o/a"))
    assert (same, stands.id) == (one, "a")
    other = Destination(Layout.FOLDER, Path("/elsewhere"))
    more, stands = q.added(one, replace(item("other"), target="hf:o/a", destination=other))
    assert len(more.items) == 2
    assert stands.id == "other"


def test_what_a_cancelled_pull_brought_goes_but_for_what_another_one_needs() -> None:
    def with_parts(name: str, state: PullState, *parts: str) -> Item:
        return replace(item(name, state), parts=parts)

    given_up = with_parts("a", PullState.CANCELLED, "weights", "projector")
    for other in (PullState.QUEUED, PullState.RUNNING, PullState.PAUSED, PullState.FAILED):
        both = queue(given_up, with_parts("b", other, "projector", "more"))
        assert q.given_up(both, "a") == ("weights",)
        assert q.given_up(both, "b") == ()
    over = queue(given_up, with_parts("b", PullState.DONE, "projector"))
    assert q.given_up(over, "a") == ("weights", "projector")
    assert q.given_up(over, "gone") == ()


def test_asking_again_wakes_what_was_paused_and_repeats_what_is_over() -> None:
    paused = queue(item("a", PullState.PAUSED))
    woken, stands = q.added(paused, replace(item("x"), target="hf:o/a"))
    assert (stands.id, stands.state) == ("a", PullState.QUEUED)
    assert len(woken.items) == 1
    over = queue(item("a", PullState.DONE))
    again, stands = q.added(over, replace(item("x"), target="hf:o/a"))
    assert (len(again.items), stands.id) == (2, "x")


@pytest.mark.parametrize(
    ("begins", "ends", "minute", "holds"),
    [
        (1380, 420, 1380, True),
        (1380, 420, 0, True),
        (1380, 420, 419, True),
        (1380, 420, 420, False),
        (1380, 420, NOON, False),
        (60, 300, 59, False),
        (60, 300, 60, True),
        (60, 60, 60, False),
    ],
)
def test_the_night_may_hold_midnight(begins: int, ends: int, minute: int, holds: bool) -> None:
    assert Night(begins, ends).holds(minute) is holds


def test_a_pull_for_the_night_waits_for_it_and_stops_in_the_morning() -> None:
    waiting = queue(item("a", night=True))
    assert q.to_start(waiting, 0, NOON) == ()
    assert q.to_start(waiting, 0, MIDNIGHT) == ("a",)
    running = queue(item("a", PullState.RUNNING, night=True))
    assert q.to_stop(running, MIDNIGHT) == ()
    assert q.to_stop(running, NOON) == ("a",)


def failing(one: Item, asked_seconds: float | None = None) -> Item:
    busy = replace(one, state=PullState.RUNNING)
    return q.to_be_tried_again(
        busy, 100.0, "It hung up.", "Wait.", asked_seconds=asked_seconds, jitter=0.0
    )


def test_failures_wait_longer_each_time_and_end_as_a_failure() -> None:
    one = item("a")
    waits: list[float] = []
    while (one := failing(one)).state is PullState.WAITING:
        assert one.retry_at is not None
        waits.append(one.retry_at - 100)
    assert waits == sorted(waits)
    assert waits[0] == 4
    assert waits[-1] == 600
    assert one.state is PullState.FAILED
    assert one.problem == "It hung up."


def test_what_a_server_asks_for_is_given() -> None:
    assert failing(item("a"), asked_seconds=1800).retry_at == 1900


def test_a_waiting_pull_starts_when_its_time_has_come_or_the_clock_was_set_back() -> None:
    waiting = queue(failing(item("a")))
    assert q.to_start(waiting, 103, NOON) == ()
    assert q.to_start(waiting, 104, NOON) == ("a",)
    assert q.to_start(waiting, 104 - 10 * 24 * 3600, NOON) == ("a",)


def test_what_was_cancelled_or_paused_meanwhile_stays_that() -> None:
    cancelled = q.cancelled(item("a", PullState.RUNNING), 5)
    assert q.failed(cancelled, 6, "x", "y") == cancelled
    assert q.stopped(cancelled) == cancelled
    paused = q.paused(item("a", PullState.RUNNING))
    assert q.stopped(paused).state is PullState.PAUSED
    assert q.stopped(item("a", PullState.RUNNING)).state is PullState.QUEUED


def test_what_is_over_can_be_asked_for_again() -> None:
    failed = q.failed(item("a", PullState.RUNNING), 5, "cause", "step")
    again = q.resumed(failed)
    assert again.state is PullState.QUEUED
    assert (again.problem, again.ended_at) == ("", None)
    done = q.done(item("a", PullState.PLACING), 5, ("/m",))
    assert q.resumed(done) == done


STATES = st.sampled_from(list(PullState))
ITEMS = st.builds(item, st.uuids().map(str), STATES, night=st.booleans())
QUEUES = st.builds(Queue, st.lists(ITEMS, max_size=8).map(tuple), st.integers(1, 4))


@given(QUEUES, st.floats(0, 1e9), st.integers(0, 1439))
def test_never_more_at_once_than_set_and_never_what_is_over(
    some: Queue, now: float, minute: int
) -> None:
    starts = q.to_start(some, now, minute)
    busy = [one for one in some.items if one.is_busy]
    assert len(starts) + len(busy) <= max(some.at_once, len(busy))
    for name in starts:
        found = some.find(name)
        assert found is not None
        assert found.state in (PullState.QUEUED, PullState.WAITING)


@given(QUEUES)
def test_a_queue_is_kept_as_it_is(some: Queue) -> None:
    assert queue_of(queue_text(some)) == some


@given(QUEUES)
def test_a_process_that_starts_finds_nothing_at_work(some: Queue) -> None:
    assert not any(one.is_busy for one in q.woken(some).items)
    assert len(q.woken(some).items) == len(some.items)


@given(st.text(max_size=60))
def test_a_damaged_queue_is_an_error_with_a_next_step(text: str) -> None:
    with pytest.raises(PullError):
        queue_of(text)


def test_only_so_many_that_are_over_are_kept() -> None:
    many = Queue()
    for number in range(300):
        many, _ = q.added(many, item(str(number), PullState.DONE))
    assert len(many.items) == 200
    assert many.items[-1].id == "299"
    assert q.cleared(many).items == ()
