from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from modeldeck.tui.early_scan import EarlyScan


def never() -> bool:
    return False


def test_what_was_found_before_anybody_asked_is_told_in_order() -> None:
    begun = threading.Event()

    def scan(should_stop: Callable[[], bool]) -> Iterator[int]:
        yield from (1, 2)
        begun.set()
        yield 3

    early = EarlyScan(scan)
    assert begun.wait(10)
    assert list(early.steps(never)) == [1, 2, 3]


def test_what_comes_later_is_waited_for() -> None:
    asked = threading.Event()

    def scan(should_stop: Callable[[], bool]) -> Iterator[int]:
        yield 1
        asked.wait(10)
        yield 2

    steps = EarlyScan(scan).steps(never)
    assert next(steps) == 1
    asked.set()
    assert list(steps) == [2]


def test_who_asks_no_more_stops_the_reading() -> None:
    ended = threading.Event()

    def scan(should_stop: Callable[[], bool]) -> Iterator[int]:
        while not should_stop():
            pass
        ended.set()
        yield 1

    assert list(EarlyScan(scan).steps(lambda: True)) == []
    assert ended.wait(10)


def test_a_failure_reaches_who_asks() -> None:
    def scan(should_stop: Callable[[], bool]) -> Iterator[int]:
        yield 1
        raise OSError("gone")

    steps = EarlyScan(scan).steps(never)
    assert next(steps) == 1
    with pytest.raises(OSError, match="gone"):
        next(steps)
