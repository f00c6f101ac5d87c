"""Every verdict of the list: what headers say is kept, the answers are made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from modeldeck.engines.catalog.projectors import projector_size
from modeldeck.engines.fit.companions import Companions
from modeldeck.engines.fit.row import judge_file, judge_kept, without_engine
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.shapes import Shapes
from modeldeck.engines.fit.types import Card, Verdict
from modeldeck.engines.fit.verdict import judged_plan
from modeldeck.engines.fit.way import Way, way_of
from modeldeck.engines.types import LocalModel, ModelFormat, ModelHeader, Plan

if TYPE_CHECKING:
    from modeldeck.engines.types import EngineInfo, KvType
    from modeldeck.tui.learned_memory import MemoryLesson
    from modeldeck.tui.learned_speed import Lesson

_FILES = frozenset({ModelFormat.GGUF, ModelFormat.LLAMAFILE})


class Judging(NamedTuple):
    """What one judging of a list is for.

    Attributes:
        context_tokens: wanted; a model gets no more than it was trained for.
        kv_type: of the cache.
        card: to judge for.
        engines: those there are; asked for only where a model is no GGUF file.
        memory: what loads taught.
        speed: what replies taught.
        brief: without the longest context and the rate.
    """

    context_tokens: int
    kv_type: KvType
    card: Card
    engines: Callable[[], Sequence[EngineInfo]]
    memory: MemoryLesson | None = None
    speed: Lesson | None = None
    brief: bool = False


def row_verdicts(
    models: Sequence[LocalModel], shapes: Shapes, judging: Judging
) -> dict[str, Verdict]:
    """Verdicts by model id; a model with a problem has none."""
    shapes.recall(models)
    ways = _ways({model.format for model in models}, judging)
    verdicts = {
        model.id: _verdict(model, model.header, shapes, ways[model.format], judging)
        for model in models
        if model.header is not None
    }
    if len(shapes) > len(verdicts):
        shapes.keep_only(verdicts)
    shapes.save()
    return verdicts


def _ways(formats: set[ModelFormat], judging: Judging) -> Mapping[ModelFormat, Way]:
    """How each format runs: the same for every model of it."""
    engines = judging.engines() if formats - {ModelFormat.GGUF} else ()
    return {one: way_of(one, judging.card, engines) for one in formats}


def _verdict(
    model: LocalModel, header: ModelHeader, shapes: Shapes, way: Way, judging: Judging
) -> Verdict:
    context = min(judging.context_tokens, header.context_length or judging.context_tokens)
    plan = Plan(context_tokens=context, kv_type=judging.kv_type)
    if not way.engine:
        return without_engine(model.format, way, None)
    if model.format in _FILES:
        verdict = _of_file(model, header, shapes.of(model, header), way, plan, judging)
    else:
        verdict = judge_kept(shapes.kept_of(model, header), plan, judging.card, way)
    return verdict if way.here else without_engine(model.format, way, verdict)


def _of_file(
    model: LocalModel,
    header: ModelHeader,
    shape: Shape | Unjudged,
    way: Way,
    plan: Plan,
    judging: Judging,
) -> Verdict:
    """For llama.cpp, with what was learnt here."""
    card, memory, speed = judging.card, judging.memory, judging.speed
    here = memory.card_for(card, header.architecture) if memory else card
    verdict = judge_file(
        shape, plan, here, way, Companions(projector_size(model)), brief=judging.brief
    )
    if memory is not None and memory.knows(model):
        verdict = memory.measured(verdict, judged_plan(shape, plan, verdict), model, card)
    return speed.correct(verdict, model, card) if speed else verdict
