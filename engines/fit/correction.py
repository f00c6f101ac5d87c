"""A prediction corrected by what was measured here.

Measured and predicted differ by a factor that the card, its clocks, the driver and the engine's
build share over models. The factor is the mean of the logarithms, shrunk towards none: two measures
move the prediction half of the way, so that one odd reply does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Final, Literal

from modeldeck.engines.fit.types import Rates
from modeldeck.engines.types import Plan

Where = Literal["gpu", "gpu+cpu", "cpu"]
"""What computes: a measure of one says nothing of another."""

_PRIOR_MEASURES: Final = 2.0
_LARGEST_FACTOR: Final = 3.0
_LEAST_DOUBT: Final = 0.08


@dataclass(frozen=True, slots=True)
class SpeedMeasure:
    """One model's decode rate as it was, and as it had been predicted.

    Attributes:
        measured: tokens per second, the median of its replies.
        predicted: for the same plan at the same depth, uncorrected.
        replies: that the median is of.
    """

    measured: float
    predicted: float
    replies: int = 1


@dataclass(frozen=True, slots=True)
class Corrected:
    """A prediction, and how much of it was learnt here.

    Attributes:
        rates: corrected; the band is narrower the more there was to learn from.
        measures: models and plans that were measured; 0 leaves the prediction as it is.
        factor: that the prediction was multiplied with.
    """

    rates: Rates
    measures: int = 0
    factor: float = 1.0

    @property
    def source(self) -> str:
        """As shown beside the rate; empty when nothing was measured."""
        if not self.measures:
            return ""
        runs = "1 run" if self.measures == 1 else f"{self.measures} runs"
        return f"{100 * (self.factor - 1):+.0f} % from {runs} here"


def corrected(rates: Rates, measures: Sequence[SpeedMeasure]) -> Corrected:
    """``rates`` with what is known of the same card, engine, family of types and placement."""
    errors = [log(one.measured / one.predicted) for one in measures if _usable(one)]
    if not errors:
        return Corrected(rates)
    share = len(errors) / (len(errors) + _PRIOR_MEASURES)
    limit = log(_LARGEST_FACTOR)
    shift = max(-limit, min(limit, share * sum(errors) / len(errors)))
    middle = rates.middle * exp(shift)
    doubt = max(1 - rates.low / rates.middle, rates.high / rates.middle - 1)
    left = max(min(_LEAST_DOUBT, doubt), doubt * sqrt(1 - share))
    learnt = Rates(middle * (1 - left), middle, middle * (1 + left))
    return Corrected(learnt, len(errors), exp(shift))


def type_family(quantisation: str) -> str:
    """Types that are decoded alike: ``Q4_K_M`` and ``Q4_0`` are ``Q4``, ``UD-IQ2_M`` is ``IQ2``."""
    name = quantisation.upper().removeprefix("UD-").partition("_")[0].partition("-")[0]
    return name or "unknown"


def where_of(plan: Plan, layers: int) -> Where:
    """What computes with this plan for a model of so many blocks."""
    if plan.gpu_layers <= 0:
        return "cpu"
    return "gpu" if plan.gpu_layers > layers and not plan.cpu_moe_blocks else "gpu+cpu"


def _usable(measure: SpeedMeasure) -> bool:
    return measure.measured > 0 and measure.predicted > 0
