from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modeldeck.engines.meter import IDLE, Rate, Reading
from modeldeck.tui.context_use import ContextUse
from modeldeck.tui.widgets.throughput_lines import (
    NOTHING,
    PanelData,
    bar,
    ceiling,
    count_text,
    history_text,
    milliseconds_text,
    one_line,
    panel_lines,
    rate_text,
    tokens_per_joule,
)
from tests.support.chat_bench import panel_data

WRITING = panel_data(0, 12.4)


def shown(data: PanelData, width: int = 32) -> list[str]:
    return [line.plain.rstrip() for line in panel_lines(data, width)]


def test_the_number_that_matters_comes_first_and_alone() -> None:
    assert shown(WRITING)[0].split() == ["34.0", "tok/s"]


def test_a_reply_being_written_says_everything_and_who_measured_it() -> None:
    assert shown(WRITING)[2:] == [
        " decode        12 s       engine",
        "",
        " mean        35.0 tok/s   engine",
        " prefill      640 tok/s   engine",
        " first token 0.66 s       clock",
        " gap p50       29 ms      clock",
        " gap p95       31 ms      clock",
        " cjk         24.1 字/s    engine",
        " words       3.20 words/s engine",
        " feel     reading pace",
        " tokens in    412",
        " tokens out     0",
        "",
        " context  █░░░░░░░░░░    412/16k",
        " vram GiB ██████████░  11.0/12.0",
        " gpu         97 %   61 °C  168 W",
        " energy      0.20 tok/J",
        " ram GiB  █░░░░░░░░░░   1.0/32.0",
    ]


def test_what_nobody_measured_is_a_dash() -> None:
    lines = shown(NOTHING)
    assert lines[0] == "     – tok/s"
    assert lines[2] == " idle"
    assert " mean           – tok/s" in lines
    assert not any("engine" in line or "clock" in line for line in lines)


@pytest.mark.parametrize(
    ("reading", "headline"),
    [
        (replace(IDLE, phase="queue"), "– tok/s"),
        (replace(IDLE, phase="load", phase_fraction=0.45), "45 %"),
        (replace(IDLE, phase="load"), "– %"),
        (replace(IDLE, phase="prefill", phase_fraction=0.62, prefill=Rate(640, "engine")), "62 %"),
        (replace(WRITING.reading, phase="done"), "35.0 tok/s mean"),
        (replace(WRITING.reading, phase="stopped"), "35.0 tok/s mean"),
        (replace(IDLE, phase="failed"), "– tok/s mean"),
    ],
)
def test_each_phase_shows_its_own_number_and_its_name(reading: Reading, headline: str) -> None:
    lines = shown(PanelData(reading))
    assert lines[0].strip() == headline
    assert lines[2].startswith(f" {reading.phase}")


def test_without_a_gpu_the_host_is_shown() -> None:
    lines = shown(replace(WRITING, gpu=None))
    assert " ram GiB  █░░░░░░░░░░   1.0/32.0" in lines
    assert lines[-1] == " cpu               43 %  8 cores"
    assert not any("vram" in line or "tok/J" in line for line in lines)


def test_a_rate_clocked_by_us_says_so() -> None:
    reading = replace(WRITING.reading, decode_now=Rate(5, "wall"), decode_mean=Rate(5, "wall"))
    lines = shown(replace(WRITING, reading=reading))
    assert lines[2].endswith("clock")
    assert lines[4].endswith("clock")


def test_the_narrow_line_says_the_most_important_in_80_cells() -> None:
    assert one_line(WRITING, 80).plain == (
        "  34.0 tok/s engine  ▆▆▆▆▅ first 0.66 s in 412 out 0    ctx  3 % vram 11.0/12.0"
    )
    assert one_line(WRITING, 40).plain == "  34.0 tok/s engine  ▆▆▆▆▅ first 0.66 s"


@given(
    st.floats(0, 1e6), st.integers(0, 2_000_000), st.integers(0, 10**13), st.floats(0, 5),
    st.lists(st.floats(0, 5000), max_size=60), st.integers(32, 60),
)  # fmt: skip
def test_no_value_moves_another(
    rate: float, tokens: int, nanoseconds: int, gap: float, history: list[float], width: int
) -> None:
    reading = replace(
        WRITING.reading,
        elapsed_ns=min(nanoseconds, 10**13),
        decode_now=Rate(min(rate, 99_999), "engine"),
        decode_mean=Rate(min(rate, 99_999), "wall"),
        prefill=Rate(min(rate, 99_999), "engine"),
        first_token_ns=nanoseconds % 10**12,
        gap_p50_ns=int(gap * 1e9),
        gap_p95_ns=int(gap * 1e9),
        completion_tokens=tokens,
        history=tuple(history),
    )
    data = replace(WRITING, reading=reading, context_use=ContextUse(tokens, exact=tokens % 2 == 0))
    lines, still = panel_lines(data, width), panel_lines(WRITING, width)
    assert len(lines) == len(still)
    assert all(line.cell_length <= width for line in lines)
    for line, other in zip(lines[4:11], still[4:11], strict=True):
        assert line.plain.rstrip()[-6:].strip() in ("engine", "clock")
        assert line.plain[:9] == other.plain[:9]
    assert one_line(data, width).cell_length <= width


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0.00"), (9.87, "9.87"), (9.996, "10.0"), (34.24, "34.2"), (640.3, "640")],
)
def test_rates_have_three_digits(value: float | None, text: str) -> None:
    assert rate_text(value) == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (None, "–"),
        (799, "799"),
        (9999, "9999"),
        (12_345, "12.3k"),
        (16384, "16k"),
        (131072, "128k"),
    ],
)
def test_counts_are_short(tokens: int | None, text: str) -> None:
    assert count_text(tokens) == text


def test_milliseconds() -> None:
    assert [milliseconds_text(ns) for ns in (None, 3_210_000, 29_400_000)] == ["–", "3.21", "29"]


@given(st.floats(-1, 2), st.integers(2, 40))
def test_a_bar_is_full_only_at_the_end_and_empty_only_at_the_start(
    fraction: float, cells: int
) -> None:
    drawn = bar(fraction, cells)
    assert len(drawn) == cells
    assert (drawn.count("█") == cells) == (fraction >= 1)
    assert (drawn.count("█") == 0) == (fraction <= 0)


@given(st.floats(1e-3, 1e6))
def test_the_scale_of_the_history_is_a_round_number_above(value: float) -> None:
    top = ceiling(value)
    assert value <= top <= value * 2.6
    assert f"{top:e}"[0] in "125"


@given(st.lists(st.floats(0, 1e5), max_size=80), st.integers(1, 40))
@example([5e-324], 1)
def test_the_history_fills_its_cells_with_the_newest_at_the_right(
    history: list[float], cells: int
) -> None:
    text = history_text(history, cells)
    assert len(text) == cells
    assert text.count(" ") == max(0, cells - len(history))


def test_tokens_per_joule_needs_a_measured_power() -> None:
    gpu = WRITING.gpu
    assert gpu is not None
    assert tokens_per_joule(WRITING.reading, gpu) == pytest.approx(34 / 168)
    assert tokens_per_joule(WRITING.reading, gpu._replace(power_watts=None)) is None
    assert tokens_per_joule(WRITING.reading, None) is None
    assert tokens_per_joule(replace(WRITING.reading, phase="done"), gpu) is None
