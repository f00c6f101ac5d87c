"""Predicted rates beside published ones: the bounds that docs/accuracy.md promises."""

from __future__ import annotations

import pytest

from tests.accuracy.rates import Row, left_out_error, rows

JUDGED = [row for row in rows() if row.bound is not None]


def _name(row: Row) -> str:
    return row.facts["id"]


@pytest.mark.parametrize("row", JUDGED, ids=_name)
def test_a_published_rate_is_predicted_within_its_bound(row: Row) -> None:
    assert row.bound is not None
    assert abs(row.error) <= row.bound


@pytest.mark.parametrize("row", JUDGED, ids=_name)
def test_so_it_is_when_the_row_has_no_say_in_the_constants(row: Row) -> None:
    assert row.bound is not None
    assert abs(left_out_error(row)) <= row.bound


def test_the_bands_cover_four_rows_in_five_and_are_not_wider_than_a_third() -> None:
    covered = sum(row.covered for row in JUDGED)
    assert covered >= 0.8 * len(JUDGED)
    for row in rows():
        low, middle, high = row.rates
        assert middle * 0.65 - 1e-9 <= low <= middle <= high <= middle * 1.35 + 1e-9


def test_dense_rows_of_grade_a_have_the_narrow_bound() -> None:
    dense = [row for row in JUDGED if row.family == "decode, dense, all on GPUs"]
    graded = [row for row in dense if row.facts["grade"] == "A"]
    assert len(graded) >= 6
    assert {row.bound for row in graded} == {0.15}


def test_a_row_that_is_not_judged_says_why() -> None:
    for row in rows():
        assert row.bound is not None or row.facts["why"], row.facts["id"]
    # Two thirds of what was published can be judged.
    assert len(JUDGED) >= 0.6 * len(rows())
