from __future__ import annotations

import itertools
import math
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.chat import (
    ChatEvent,
    ClockSource,
    Done,
    PrefillProgress,
    ReasoningDelta,
    TextDelta,
    Timings,
    Usage,
)
from modeldeck.engines.meter import Meter, Rate, Reading

MS = 1_000_000
S = 1000 * MS


def totals(
    decoded: int, decode_ms: float, prompt: int = 10, source: ClockSource = "engine"
) -> Timings:
    return Timings(source, prompt, 0, 20 * MS, decoded, round(decode_ms * MS))


def begun(at_ns: int = 0) -> Meter:
    meter = Meter()
    meter.started(at_ns)
    return meter


def wall_reply(gaps_ms: list[float], text: str = "word ") -> tuple[Meter, int]:
    """A reply whose pieces carry no timings: the first after 500 ms, then after each gap."""
    meter, now = begun(), 500 * MS
    meter.observe(TextDelta(text), now)
    for gap in gaps_ms:
        now += round(gap * MS)
        meter.observe(TextDelta(text), now)
    return meter, now


def test_nothing_is_known_before_the_question() -> None:
    assert Meter().reading(123 * S) == Reading()


def test_a_question_waits_loads_prefills_decodes_and_is_done() -> None:
    meter = Meter()
    meter.queued(1 * S)
    assert meter.reading(3 * S).phase == "queue"
    assert meter.reading(3 * S).elapsed_ns == 2 * S
    meter.loading(None, 3 * S)
    assert meter.reading(4 * S).phase_fraction is None
    meter.loading(0.25, 4 * S)
    reading = meter.reading(5 * S)
    assert (reading.phase, reading.phase_fraction, reading.elapsed_ns) == ("load", 0.25, 2 * S)
    meter.started(10 * S)
    assert meter.reading(11 * S).phase == "prefill"
    meter.observe(PrefillProgress(processed=300, total=500, cached=100, elapsed_ns=S), 12 * S)
    reading = meter.reading(12 * S)
    assert reading.phase_fraction == 0.5  # 200 of the 400 that are computed
    assert reading.prefill == Rate(200.0, "engine")
    assert (reading.prompt_tokens, reading.cached_tokens) == (500, 100)
    assert reading.first_token_ns is None
    meter.observe(ReasoningDelta("hm"), 13 * S)
    reading = meter.reading(13 * S)
    assert (reading.phase, reading.phase_fraction) == ("decode", None)
    assert reading.first_token_ns == 3 * S
    meter.observe(Done("stop"), 14 * S)
    assert meter.reading(99 * S).phase == "done"
    assert meter.reading(99 * S).elapsed_ns == 4 * S


def test_our_clock_counts_steps_not_tokens() -> None:
    meter, now = wall_reply([20.0] * 50)
    reading = meter.reading(now)
    assert reading.decode_mean == Rate(50.0, "wall")
    assert reading.decode_now == Rate(50.0, "wall")
    assert reading.completion_tokens == 51
    assert reading.first_token_ns == 500 * MS
    assert (reading.gap_p50_ns, reading.gap_p95_ns) == (20 * MS, 20 * MS)
    assert reading.gap_source == "wall"
    assert reading.prefill is None
    assert reading.feel == "reading pace"


def test_the_engines_clock_beats_ours_even_when_the_network_jams() -> None:
    meter = begun()
    for n in range(101):
        # The engine makes 100 tok/s; everything arrives in two bursts.
        at = (1 if n < 50 else 3) * S
        meter.observe(TextDelta("a ", totals(n + 1, max(0.001, n * 10.0))), at)
    reading = meter.reading(3 * S)
    assert reading.decode_mean is not None
    assert reading.decode_mean.source == "engine"
    assert reading.decode_mean.tokens_per_second == pytest.approx(100.0, rel=1e-5)
    assert reading.decode_now is not None
    assert reading.decode_now.tokens_per_second == pytest.approx(100.0, rel=1e-5)
    assert (reading.gap_p50_ns, reading.gap_p95_ns) == (10 * MS, 10 * MS)
    assert reading.gap_source == "engine"
    assert reading.prefill == Rate(500.0, "engine")
    assert reading.completion_tokens == 101


def test_the_first_token_of_llama_cpp_is_no_million_tokens_per_second() -> None:
    meter = begun()
    meter.observe(TextDelta("a", totals(1, 0.001)), 1 * S)
    assert meter.reading(1 * S).decode_mean is None
    assert meter.reading(1 * S).decode_now is None
    meter.observe(TextDelta("b", totals(2, 50.001)), 1050 * MS)
    assert meter.reading(1050 * MS).decode_mean == Rate(20.0, "engine")


def test_now_forgets_what_is_older_than_two_seconds() -> None:
    meter, now = wall_reply([10.0] * 300 + [100.0] * 20)  # 3 s at 100 tok/s, 2 s at 10
    reading = meter.reading(now)
    assert reading.decode_now == Rate(10.0, "wall")
    assert reading.decode_mean == Rate(64.0, "wall")


def test_a_speculating_engine_makes_many_tokens_in_one_step() -> None:
    meter = begun()
    meter.observe(TextDelta("a", totals(1, 0.0)), 0)
    meter.observe(TextDelta("bcde", totals(5, 40.0)), 40 * MS)  # four gaps of 10 ms
    meter.observe(TextDelta("f", totals(6, 70.0)), 70 * MS)  # one of 30 ms
    meter.observe(TextDelta("g", totals(7, 100.0)), 100 * MS)  # and another
    reading = meter.reading(100 * MS)
    assert reading.gap_p50_ns == 10 * MS
    assert reading.gap_p95_ns == 30 * MS
    assert reading.decode_mean == Rate(60.0, "engine")


def test_percentiles_are_by_nearest_rank() -> None:
    meter, now = wall_reply([float(n) for n in range(1, 101)])
    reading = meter.reading(now)
    assert (reading.gap_p50_ns, reading.gap_p95_ns) == (50 * MS, 95 * MS)


@pytest.mark.parametrize("gap_ms", [5.0, 50.0, 400.0])
def test_a_stalled_engine_falls_towards_zero(gap_ms: float) -> None:
    meter, now = wall_reply([gap_ms] * 40)
    steady = meter.reading(now).decode_now
    assert steady is not None
    assert steady.tokens_per_second == pytest.approx(1000 / gap_ms)
    usual = round(min(gap_ms, 250.0) * MS)
    assert meter.reading(now + usual).decode_now == steady  # no token is overdue yet
    rates: list[float] = []
    for seconds in (1, 2, 5, 20, 100):
        fallen = meter.reading(now + seconds * S).decode_now
        assert fallen is not None
        rates.append(fallen.tokens_per_second)
    assert rates == sorted(rates, reverse=True)
    assert rates[0] < 0.75 * steady.tokens_per_second
    assert rates[-1] < 0.011


def test_a_slow_model_is_slow_and_not_stalled() -> None:
    meter, now = wall_reply([3000.0] * 5)  # longer than the window
    for ms in (0, 1000, 2000, 2999):
        reading = meter.reading(now + ms * MS)
        assert reading.decode_now is not None
        assert reading.decode_now.tokens_per_second == pytest.approx(1 / 3)
    assert reading.history == pytest.approx([1 / 3] * 60)


def test_the_history_is_level_when_the_speed_is() -> None:
    meter, now = wall_reply([160.0] * 25)  # 6.25 tok/s: one or two tokens in each quarter
    assert meter.reading(now).history == pytest.approx([6.25] * 16)
    longer, end = wall_reply([160.0] * 500)
    assert longer.reading(end).history == pytest.approx([6.25] * 60)


def test_the_history_shows_a_change_of_speed_and_a_stall() -> None:
    meter, now = wall_reply([10.0] * 50 + [50.0] * 10)
    assert meter.reading(now).history == pytest.approx([100, 100, 20, 20])
    assert meter.reading(now + 200 * MS).history == pytest.approx([100, 100, 20, 20])
    assert meter.reading(now + 1 * S).history == pytest.approx([100, 100, 20, 20, 0, 0, 0, 0])
    assert meter.reading(now + 3600 * S).history == (0.0,) * 60


def test_an_engine_that_times_only_the_whole_has_the_mean_and_we_the_rest() -> None:
    meter, now = wall_reply([25.0] * 8)
    whole = Timings("engine", 90, 0, 300 * MS, 12, 240 * MS)
    meter.observe(Usage(100, 12, 10, whole), now)
    meter.observe(Done("stop"), now)
    reading = meter.reading(now)
    assert reading.decode_mean == Rate(50.0, "engine")
    assert reading.prefill == Rate(300.0, "engine")
    assert reading.decode_now == Rate(40.0, "wall")
    assert reading.gap_source == "wall"
    assert (reading.prompt_tokens, reading.cached_tokens) == (100, 10)
    assert reading.completion_tokens == 12


def test_an_engine_without_timings_is_clocked_by_us_and_says_so() -> None:
    meter, now = wall_reply([100.0] * 10)  # 11 pieces in 1 s, of 21 tokens
    meter.observe(Usage(100, 21, 0, None), now)
    reading = meter.reading(now)
    assert reading.decode_mean == Rate(20.0, "wall")
    assert reading.prefill == Rate(200.0, "wall")  # 100 tokens until the first at 0.5 s
    assert reading.completion_tokens == 21


def test_tokens_that_show_no_text_still_count() -> None:
    meter = begun()
    meter.observe(TextDelta("a", totals(1, 0.0)), 0)
    meter.observe(TextDelta("b", totals(2, 10.0)), 10 * MS)
    meter.observe(Usage(10, 3, 0, totals(3, 20.0)), 20 * MS)  # the end token
    meter.observe(Done("stop"), 20 * MS)
    reading = meter.reading(S)
    assert reading.decode_mean == Rate(100.0, "engine")
    assert reading.completion_tokens == 3


def test_an_empty_piece_is_not_the_first_token() -> None:
    meter = begun()
    meter.observe(TextDelta(""), 1 * S)
    assert meter.reading(2 * S).first_token_ns is None
    meter.observe(TextDelta("a"), 2 * S)
    assert meter.reading(2 * S).first_token_ns == 2 * S


def test_reading_speed_is_in_characters_and_words() -> None:
    meter = begun()
    for n, text in enumerate(["Bonjour", " le", " monde", "。你", "好吗"]):
        event = ReasoningDelta(text) if n < 2 else TextDelta(text)
        meter.observe(replace(event, timings=totals(n + 1, n * 100.0)), n * 100 * MS)
    reading = meter.reading(400 * MS)
    assert reading.decode_mean == Rate(10.0, "engine")
    assert reading.cjk_characters_per_second == pytest.approx(3 / 5 * 10)
    assert reading.words_per_second == pytest.approx(3 / 5 * 10)
    assert reading.feel == "typewriter"


def test_a_stop_keeps_what_was_measured() -> None:
    meter, now = wall_reply([10.0] * 100)
    before = meter.reading(now)
    meter.stopped(now)
    meter.observe(TextDelta("late"), now + S)
    meter.failed(now + 2 * S)
    meter.observe(Done("stop"), now + 3 * S)
    after = meter.reading(now + 60 * S)
    assert after == replace(before, phase="stopped")


def test_a_cancelled_reply_is_stopped_and_a_load_can_fail() -> None:
    meter = begun()
    meter.observe(Done("cancelled"), S)
    assert meter.reading(S).phase == "stopped"
    meter = Meter()
    meter.loading(0.5, S)
    meter.failed(3 * S)
    assert (meter.reading(9 * S).phase, meter.reading(9 * S).elapsed_ns) == ("failed", 2 * S)


def test_totals_that_run_backwards_begin_a_new_series() -> None:
    meter = begun()
    for n, (tokens, ms) in enumerate([(1, 0), (2, 10), (3, 20), (1, 5), (2, 15), (3, 25)]):
        meter.observe(TextDelta("a", totals(tokens, ms)), n * 10 * MS)
    reading = meter.reading(50 * MS)
    assert reading.decode_mean == Rate(100.0, "engine")
    assert reading.gap_p95_ns == 10 * MS


def test_totals_that_stand_still_for_a_piece_lose_no_time() -> None:
    meter = begun()
    for n, (tokens, ms) in enumerate([(1, 0), (1, 10), (2, 20)]):
        meter.observe(TextDelta("a", totals(tokens, ms)), n * 10 * MS)
    assert meter.reading(20 * MS).decode_mean == Rate(50.0, "engine")


def test_our_clock_going_backwards_makes_no_negative_time() -> None:
    meter = begun(10 * S)
    for at in (5 * S, 4 * S, 6 * S):
        meter.observe(TextDelta("a"), at)
    reading = meter.reading(0)
    assert reading.first_token_ns == 0
    assert reading.elapsed_ns == 0
    assert reading.decode_mean == Rate(2.0, "wall")  # two steps; the clock went on by one second


counts = st.integers(-10, 10**6) | st.integers(-(10**400), 10**400)
times = st.integers(-S, 100 * S)
texts = st.text(max_size=8)
timings = st.none() | st.builds(
    Timings, st.sampled_from(("engine", "wall")), counts, counts, counts, counts, counts
)
events: st.SearchStrategy[ChatEvent] = st.one_of(
    st.builds(TextDelta, texts, timings),
    st.builds(ReasoningDelta, texts, timings),
    st.builds(PrefillProgress, counts, counts, counts, counts),
    st.builds(Usage, counts, counts, counts, timings),
    st.builds(Done, st.sampled_from(("stop", "length", "cancelled"))),
)
steps = st.lists(st.tuples(events, times), max_size=30)


def numbers(reading: Reading) -> list[float]:
    rates = (reading.decode_now, reading.decode_mean, reading.prefill)
    return [
        *(rate.tokens_per_second for rate in rates if rate),
        *reading.history,
        *(
            value
            for value in (
                reading.elapsed_ns,
                reading.first_token_ns,
                reading.gap_p50_ns,
                reading.gap_p95_ns,
                reading.prompt_tokens,
                reading.cached_tokens,
                reading.completion_tokens,
                reading.cjk_characters_per_second,
                reading.words_per_second,
            )
            if value is not None
        ),
    ]


@given(steps, st.booleans(), st.floats())
def test_nothing_an_engine_or_a_clock_does_breaks_the_meter(
    script: list[tuple[ChatEvent, int]], start: bool, fraction: float
) -> None:
    meter = Meter()
    meter.loading(fraction, 0)
    if start:
        meter.started(0)
    for event, at_ns in script:
        meter.observe(event, at_ns)
        reading = meter.reading(at_ns)
        assert all(math.isfinite(number) and number >= 0 for number in numbers(reading))
        assert reading.phase_fraction is None or 0 <= reading.phase_fraction <= 1
        assert len(reading.history) <= 60


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 500 * MS)), min_size=1, max_size=200))
def test_the_mean_is_exactly_what_the_engine_counted(pieces: list[tuple[int, int]]) -> None:
    meter = begun()
    made, time_ns = 1, 7
    meter.observe(TextDelta("a", Timings("engine", 1, 0, 1, made, time_ns)), 0)
    for tokens, step_ns in pieces:
        made, time_ns = made + tokens, time_ns + step_ns
        meter.observe(TextDelta("a", Timings("engine", 1, 0, 1, made, time_ns)), time_ns)
    mean = meter.reading(time_ns).decode_mean
    assert mean == Rate((made - 1) * 1e9 / (time_ns - 7), "engine")


@given(st.lists(st.integers(0, 240 * MS), min_size=1, max_size=58))
def test_the_history_loses_no_token(gaps_ns: list[int]) -> None:
    meter, now = wall_reply([gap / MS for gap in gaps_ns])
    meter.observe(TextDelta("a"), now := now + 250 * MS)
    quarters = meter.reading(now).history
    complete_until = 500 * MS + len(quarters) * 250 * MS
    arrivals, at = [500 * MS], 500 * MS
    for gap in [*gaps_ns, 250 * MS]:
        at += gap
        arrivals.append(at)
    made = 0.0
    for before, after in itertools.pairwise(arrivals):
        if after <= complete_until:
            made += 1
        elif before < complete_until:
            made += (complete_until - before) / (after - before)
    assert sum(quarters) * 0.25 == pytest.approx(made, abs=1.001)


def test_a_hundred_thousand_tokens_are_metered_in_a_bounded_space() -> None:
    meter = begun()
    for n in range(100_000):
        meter.observe(TextDelta(" wordé", totals(n + 1, n * 0.25)), n * 250_000)
    reading = meter.reading(100_000 * 250_000)
    assert reading.decode_mean == Rate(4000.0, "engine")
    assert reading.completion_tokens == 100_000
    assert reading.feel == "instant"
    assert len(pickle.dumps(meter)) < 100_000
