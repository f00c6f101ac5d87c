"""A download in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.pulls.types import PullProgress, PullState
from modeldeck.engines.text import UNSAFE
from modeldeck.tui.pull_text import left_text, percent, progress_line, state_text

PULL = PullProgress(
    "a1",
    "hf:o/n",
    "Qwen3-8B-Q4_K_M.gguf",
    PullState.RUNNING,
    0,
    (),
    2_100_000_000,
    5_000_000_000,
    bytes_per_second=83e6,
    seconds_left=34.9,
)


def test_how_far_how_fast_and_how_long_yet() -> None:
    line = progress_line(PULL, 100, 0)
    assert line.startswith("Qwen3-8B-Q4_K_M.gguf  ━━━━━━━━──")
    assert line.endswith("42%  2.1 GB of 5.0 GB  83.0 MB/s  0:35")


def test_all_is_said_only_when_all_has_come() -> None:
    almost = replace(PULL, done_bytes=4_999_999_999)
    assert percent(almost) == 99
    assert percent(replace(PULL, done_bytes=5_000_000_000)) == 100
    assert percent(replace(PULL, total_bytes=None)) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "0:05"), (65, "1:05"), (3700, "1:01:40"), (1e6, ">99 h")]
)
def test_how_long_yet(seconds: float, text: str) -> None:
    assert left_text(replace(PULL, seconds_left=seconds)) == text


def test_a_waiting_one_says_why_and_how_long() -> None:
    waiting = replace(PULL, state=PullState.WAITING, problem="hub is busy.", retry_at=110.0)
    assert state_text(waiting, 100) == "waits 10 s: hub is busy."


@given(
    st.text(max_size=80),
    st.sampled_from(list(PullState)),
    st.integers(0, 1 << 50),
    st.none() | st.integers(1, 1 << 50),
    st.integers(20, 200),
)
def test_any_download_stays_in_its_line(
    title: str, state: PullState, done: int, total: int | None, columns: int
) -> None:
    pull = replace(PULL, title=title, state=state, done_bytes=done, total_bytes=total)
    line = progress_line(pull, columns, 0)
    assert len(line) < columns
    assert not UNSAFE.search(line)
