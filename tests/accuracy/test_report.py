"""docs/accuracy.md: current, complete, and within its bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accuracy.buffers import Buffer, buffers, unpriced
from tests.accuracy.placed import Placed, placed
from tests.accuracy.report import report

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"


def test_the_page_is_what_make_accuracy_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == report(), "run: make accuracy"


def _name(buffer: Buffer) -> str:
    return f"{buffer.facts['id']}-{buffer.term}"


@pytest.mark.parametrize("buffer", buffers(), ids=_name)
def test_a_published_buffer_is_predicted_within_its_bound(buffer: Buffer) -> None:
    assert buffer.holds or not buffer.held, (buffer.published_mib, buffer.predicted_mib)


def test_what_is_not_held_to_a_bound_is_little_and_says_why() -> None:
    loose = [buffer for buffer in buffers() if not buffer.held]
    assert len(loose) <= len(buffers()) // 8
    assert all(buffer.facts["why"] for buffer in loose)
    assert all(row["why"] for row in unpriced())


def _id(row: Placed) -> str:
    return row.facts["id"]


@pytest.mark.parametrize("row", placed(), ids=_id)
def test_what_ran_on_the_card_fits_and_what_did_not_does_not(row: Placed) -> None:
    assert row.fits == row.ran, (row.need_mib, row.free_mib)
