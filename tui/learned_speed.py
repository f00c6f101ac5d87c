"""What replies teach about this box's speed: kept after each, and used for the next prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modeldeck.engines.store.database import Database, StoreError

if TYPE_CHECKING:
    from modeldeck.engines.fit.correction import SpeedMeasure, Where
    from modeldeck.engines.fit.shape import Shape
    from modeldeck.engines.fit.types import Card, Verdict
    from modeldeck.engines.meter import Reading
    from modeldeck.engines.store.speed_residuals import SpeedKey
    from modeldeck.engines.types import LoadedModel, LocalModel

_LEAST_TOKENS: Final = 64
"""A shorter reply says more of the engine's start than of its rate."""


class LearnedSpeed:
    """Measured decode rates beside the predictions they correct."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, loaded: LoadedModel, reading: Reading, card: Card) -> bool:
        """Keep what a finished reply says of ``card``; whether it said anything.

        Nothing is learnt from a short reply, one that did not end by itself, a model without a
        predicted rate or with a draft or an adapter beside it, or a card that is only assumed.
        """
        from modeldeck.engines.fit.correction import type_family, where_of
        from modeldeck.engines.fit.shape import Shape
        from modeldeck.engines.fit.shaping import shape_of
        from modeldeck.engines.store.speed_residuals import Run, SpeedKey, SpeedResiduals

        rate, tokens, header = reading.decode_mean, reading.completion_tokens, loaded.model.header
        if reading.phase != "done" or rate is None or (tokens or 0) < _LEAST_TOKENS:
            return False
        shape = shape_of(header) if header is not None else None
        if header is None or not isinstance(shape, Shape) or rate.tokens_per_second <= 0:
            return False
        plan = loaded.plan
        if plan.draft is not None or plan.adapters:
            return False
        where = where_of(plan, shape.layers)
        depth = (reading.prompt_tokens or 0) + (tokens or 0) // 2
        predicted = _predicted(shape, loaded, card, depth)
        if predicted is None or (card.what_if and where != "cpu"):
            return False
        run = Run(
            loaded.model.name,
            f"{plan.context_tokens} {plan.kv_type} {plan.gpu_layers} {plan.cpu_moe_blocks}",
            loaded.engine_build,
        )
        family = type_family(header.quantisation)
        key = SpeedKey("" if where == "cpu" else card.name, loaded.engine, family, where)
        try:
            SpeedResiduals(self._database).keep(key, run, rate.tokens_per_second, predicted)
        except StoreError:
            return False
        return True

    def lesson(self) -> Lesson:
        """Everything that was learnt, to correct many verdicts with."""
        from modeldeck.engines.fit.correction import SpeedMeasure
        from modeldeck.engines.store.speed_residuals import SpeedResiduals

        try:
            kept = SpeedResiduals(self._database).all()
        except StoreError:
            kept = {}
        measures = {
            key: tuple(SpeedMeasure(*residual) for residual in residuals)
            for key, residuals in kept.items()
        }
        return Lesson(measures)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was measured, by what it can speak for; the key measured last comes last."""

    measures: Mapping[SpeedKey, tuple[SpeedMeasure, ...]]

    def correct(
        self, verdict: Verdict, model: LocalModel, card: Card, engine: str | None = None
    ) -> Verdict:
        """The verdict with its rate corrected by what ``engine`` did here.

        Args:
            verdict: with a predicted rate, or without one.
            model: that it is of.
            card: that it is for; one that is only assumed has no measures but the CPU's.
            engine: that would run it; None: the one measured last.
        """
        if not self.measures or verdict.decode_tps is None or model.header is None:
            return verdict
        from modeldeck.engines.fit.correction import corrected, type_family
        from modeldeck.engines.fit.types import Rates, VerdictKind
        from modeldeck.engines.store.speed_residuals import SpeedKey

        where: Where = "gpu+cpu"
        if verdict.kind is VerdictKind.FITS:
            where = "gpu"
        elif verdict.kind is VerdictKind.CPU_ONLY:
            where = "cpu"
        if card.what_if and where != "cpu":
            return verdict
        key = SpeedKey(
            "" if where == "cpu" else card.name,
            engine or tuple(self.measures)[-1].engine,
            type_family(model.header.quantisation),
            where,
        )
        found = corrected(Rates(*verdict.decode_tps), self.measures.get(key, ()))
        if not found.measures:
            return verdict
        return verdict._replace(decode_tps=found.rates, rate_note=found.source)


def _predicted(shape: Shape, loaded: LoadedModel, card: Card, depth_tokens: int) -> float | None:
    from modeldeck.engines.fit.decode import decode_rate
    from modeldeck.engines.fit.token_cost import blocks_of, token_cost

    blocks = blocks_of(shape, loaded.plan)
    on = [] if blocks is None else [(card, 1.0)]
    cost = token_cost(shape, loaded.plan, blocks, depth_tokens)
    rates = decode_rate(cost, on, card.host, loaded.engine)
    return rates.middle if rates else None
