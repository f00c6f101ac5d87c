"""Predictions corrected by what was measured here: how much, and how surely."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.correction import SpeedMeasure, corrected, type_family
from modeldeck.engines.fit.types import Rates

PREDICTED = Rates(35.0, 50.0, 65.0)
rates = st.floats(0.1, 1000)


def test_with_nothing_measured_nothing_changes() -> None:
    assert corrected(PREDICTED, []).rates == PREDICTED
    assert corrected(PREDICTED, []).source == ""


def test_two_measures_move_the_prediction_half_of_the_way() -> None:
    slower = [SpeedMeasure(40.5, 50.0), SpeedMeasure(81.0, 100.0)]
    found = corrected(PREDICTED, slower)
    assert found.rates.middle == pytest.approx(45.0)
    assert found.source == "-10 % from 2 runs here"


def test_many_measures_settle_it_and_narrow_the_band() -> None:
    found = corrected(PREDICTED, [SpeedMeasure(60.0, 50.0)] * 50)
    assert found.rates.middle == pytest.approx(60.0, rel=0.01)
    assert found.rates.low > 0.9 * found.rates.middle


def test_a_rate_of_nothing_teaches_nothing() -> None:
    assert corrected(PREDICTED, [SpeedMeasure(0.0, 50.0), SpeedMeasure(5.0, 0.0)]).measures == 0


@given(st.lists(st.builds(SpeedMeasure, rates, rates), min_size=1, max_size=20))
def test_the_correction_stays_between_the_prediction_and_what_was_seen(
    measures: list[SpeedMeasure],
) -> None:
    found = corrected(PREDICTED, measures)
    seen = [one.measured / one.predicted for one in measures]
    assert min(1.0, *seen) - 1e-9 <= found.factor <= max(1.0, *seen) + 1e-9
    assert 1 / 3 - 1e-9 <= found.factor <= 3 + 1e-9
    low, middle, high = found.rates
    assert 0 < low <= middle <= high
    assert (high - low) / middle <= (PREDICTED.high - PREDICTED.low) / PREDICTED.middle + 1e-9


@given(st.lists(st.builds(SpeedMeasure, rates, rates), min_size=1, max_size=20))
def test_a_faster_measure_never_slows_the_prediction(measures: list[SpeedMeasure]) -> None:
    faster = [SpeedMeasure(one.measured * 1.1, one.predicted) for one in measures]
    assert corrected(PREDICTED, faster).factor >= corrected(PREDICTED, measures).factor - 1e-9


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Q4_K_M", "Q4"),
        ("Q4_0", "Q4"),
        ("UD-IQ2_M", "IQ2"),
        ("MXFP4", "MXFP4"),
        ("F16", "F16"),
        ("AWQ-4bit", "AWQ"),
        ("", "unknown"),
    ],
)
def test_types_that_decode_alike_are_one_family(name: str, family: str) -> None:
    assert type_family(name) == family
