"""How long a model thought: measured from its events, never guessed."""

from __future__ import annotations

from modeldeck.engines.chat import ReasoningDelta, TextDelta, Timings
from modeldeck.engines.meter import Meter

SECOND = 1_000_000_000


def timings(decoded: int) -> Timings:
    return Timings("engine", 10, 0, SECOND, decoded, decoded * SECOND)


def test_thinking_lasts_from_the_first_thought_to_the_first_word() -> None:
    meter = Meter()
    meter.started(0)
    assert meter.reading(SECOND).thought_ns is None
    meter.observe(ReasoningDelta("Hm", timings(1)), 1 * SECOND)
    meter.observe(ReasoningDelta(", so", timings(3)), 3 * SECOND)
    reading = meter.reading(4 * SECOND)
    assert (reading.thought_ns, reading.thought_tokens) == (3 * SECOND, 3)
    meter.observe(TextDelta("", timings(3)), 5 * SECOND)
    meter.observe(TextDelta("Yes", timings(4)), 6 * SECOND)
    meter.observe(TextDelta(".", timings(5)), 9 * SECOND)
    reading = meter.reading(20 * SECOND)
    assert (reading.thought_ns, reading.thought_tokens) == (5 * SECOND, 3)


def test_pieces_count_where_the_engine_does_not() -> None:
    meter = Meter()
    meter.started(0)
    for second in range(1, 4):
        meter.observe(ReasoningDelta("x"), second * SECOND)
    meter.observe(TextDelta("y"), 4 * SECOND)
    reading = meter.reading(5 * SECOND)
    assert (reading.thought_ns, reading.thought_tokens) == (3 * SECOND, 3)


def test_thinking_that_was_stopped_ends_with_the_reply() -> None:
    meter = Meter()
    meter.started(0)
    meter.observe(ReasoningDelta("x"), SECOND)
    meter.stopped(3 * SECOND)
    assert meter.reading(60 * SECOND).thought_ns == 2 * SECOND


def test_an_answer_without_reasoning_has_none() -> None:
    meter = Meter()
    meter.started(0)
    meter.observe(TextDelta("Yes"), SECOND)
    assert meter.reading(2 * SECOND).thought_ns is None
