"""A slow terminal is drawn to less often, and a recovered one as often as before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modeldeck.tui.pace import SLOWEST_MS, WAITING_WRITES, Pace


def after(pace: Pace, *waiting: int) -> Pace:
    for writes in waiting:
        pace = pace.after(writes)
    return pace


def test_a_terminal_that_keeps_up_is_drawn_to_at_once() -> None:
    assert after(Pace.of(100), *[0, 1] * 50) == Pace.of(100)


def test_a_terminal_that_falls_behind_is_drawn_to_half_as_often_each_time() -> None:
    assert [after(Pace.of(100), *[5] * n).batch_ms for n in range(6)] == [
        *(100, 200, 400, 800, 1600, SLOWEST_MS)
    ]


def test_it_comes_back_slowly() -> None:
    slow = after(Pace.of(100), 9, 9)
    assert after(slow, *[0] * 7).batch_ms == 400
    assert after(slow, *[0] * 8).batch_ms == 200
    assert after(slow, *[0] * 16).batch_ms == 100
    assert after(slow, *[0] * 7, 9).batch_ms == 800


@given(st.integers(1, 1000), st.lists(st.integers(0, 30)))
def test_it_stays_between_its_bounds(least_ms: int, waiting: list[int]) -> None:
    pace = after(Pace.of(least_ms), *waiting)
    assert least_ms <= pace.batch_ms <= max(least_ms, SLOWEST_MS)
    assert pace.slowed == (pace.batch_ms > least_ms)
    if all(writes < WAITING_WRITES for writes in waiting):
        assert not pace.slowed
