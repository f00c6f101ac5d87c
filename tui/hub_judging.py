"""Verdicts on variants that are elsewhere: as in the list of models, from headers alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from modeldeck.engines.fit.companions import Companions
from modeldeck.engines.fit.kept import Kept, kept_of
from modeldeck.engines.fit.row import judge_file, judge_kept, without_engine
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.types import Card, Verdict
from modeldeck.engines.fit.way import way_of
from modeldeck.engines.types import ModelFormat, ModelHeader, Plan
from modeldeck.tui.hub_state import Variant

if TYPE_CHECKING:
    from modeldeck.engines.types import EngineInfo
    from modeldeck.tui.learned_memory import MemoryLesson
    from modeldeck.tui.state import Options


class Judging(NamedTuple):
    """What variants are judged for.

    Attributes:
        options: context and cache.
        card: to judge for.
        engines: those there are; asked for only where a variant is no GGUF file.
        memory: what loads taught.
    """

    options: Options
    card: Card
    engines: Callable[[], Sequence[EngineInfo]]
    memory: MemoryLesson | None = None


class VariantJudge:
    """Judges variants; what follows from a header alone is worked out once."""

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[ModelHeader, Shape | Kept | Unjudged]] = {}

    def judged(self, variants: Sequence[Variant], judging: Judging) -> tuple[Variant, ...]:
        """The same with verdicts, where they have headers."""
        return tuple(
            one
            if one.header is None
            else one._replace(verdict=self._verdict(one, one.header, judging))
            for one in variants
        )

    def _verdict(self, variant: Variant, header: ModelHeader, judging: Judging) -> Verdict:
        model_format = variant.format or ModelFormat.GGUF
        card, options = judging.card, judging.options
        engines = () if model_format is ModelFormat.GGUF else judging.engines()
        way = way_of(model_format, card, engines)
        if not way.engine:
            return without_engine(model_format, way, None)
        context = min(options.context_tokens, header.context_length or options.context_tokens)
        plan = Plan(context_tokens=context, kv_type=options.kv_type)
        shape = self._shape(variant.target, model_format, header)
        if isinstance(shape, Kept):
            verdict = judge_kept(shape, plan, card, way)
        elif model_format is ModelFormat.GGUF:
            memory = judging.memory
            here = memory.card_for(card, header.architecture) if memory else card
            verdict = judge_file(shape, plan, here, way, Companions(variant.projector_bytes))
        else:
            assert isinstance(shape, Unjudged)
            verdict = judge_kept(shape, plan, card, way)
        return verdict if way.here else without_engine(model_format, way, verdict)

    def _shape(
        self, target: str, model_format: ModelFormat, header: ModelHeader
    ) -> Shape | Kept | Unjudged:
        known = self._shapes.get(target)
        if known is None or known[0] is not header:
            made = shape_of(header) if model_format is ModelFormat.GGUF else kept_of(header)
            known = self._shapes[target] = (header, made)
        return known[1]
