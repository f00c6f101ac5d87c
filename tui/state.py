"""What the deck knows, as one frozen record; every change is a new record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from modeldeck.engines.errors import EngineError, ModeldeckError
from modeldeck.engines.store.profiles import Profiled
from modeldeck.engines.types import (
    Device,
    EngineInfo,
    KvType,
    LoadedModel,
    LoadProgress,
    LocalModel,
    Plan,
    Probe,
)

if TYPE_CHECKING:
    from modeldeck.engines.choice import Choice, EngineStatus
    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.engines.fit.types import Card, Verdict
    from modeldeck.engines.hardware.types import HardwareSnapshot
    from modeldeck.tui.learned_memory import MemoryLesson

CONTEXT_STEPS = (2048, 4096, 8192, 16384, 32768, 65536, 131072)
KV_STEPS: tuple[KvType, ...] = ("f16", "q8_0", "q4_0")
_NO_VERDICTS: Mapping[str, Verdict] = MappingProxyType({})
_NO_TRIALS: Mapping[str, tuple[str, ...]] = MappingProxyType({})
_NO_PROFILES: Profiled = MappingProxyType({})
_NO_CHOICES: Mapping[str, str] = MappingProxyType({})


class Options(NamedTuple):
    """What the verdicts are for, and what a load will ask for."""

    context_tokens: int = 8192
    kv_type: KvType = "f16"

    def next_context(self) -> Options:
        """The same with the next larger context, the smallest after the largest."""
        larger = [step for step in CONTEXT_STEPS if step > self.context_tokens]
        return Options(larger[0] if larger else CONTEXT_STEPS[0], self.kv_type)

    def next_kv(self) -> Options:
        """The same with the next type of KV cache."""
        here = KV_STEPS.index(self.kv_type)
        return Options(self.context_tokens, KV_STEPS[(here + 1) % len(KV_STEPS)])


class Loading(NamedTuple):
    """A load under way."""

    model: LocalModel
    progress: LoadProgress
    started_ns: int


class Notice(NamedTuple):
    """Something the user should read: a cause and, for a failure, the next step.

    Attributes:
        cause: what happened.
        next_step: what to do now.
        failure: whether something went wrong.
        log_tail: the last lines of the engine.
        passing: it goes when what it says no longer holds.
        offer: what the key that tries a failed load again does now; the place names the key.
    """

    cause: str
    next_step: str = ""
    failure: bool = False
    log_tail: tuple[str, ...] = ()
    passing: bool = False
    offer: str = ""

    @classmethod
    def of(cls, error: ModeldeckError) -> Notice:
        """The notice that an error deserves."""
        tail = error.log_tail if isinstance(error, EngineError) else ()
        return cls(error.cause, error.next_step, failure=True, log_tail=tail)


class Retry(NamedTuple):
    """A load that ran out of memory, and the nearest plan that fits."""

    model: LocalModel
    plan: Plan
    change: str


class PullsBrief(NamedTuple):
    """The pulls that are to be done: how many, and how far in whole percent, if that is known."""

    number: int = 0
    percent: int | None = None


def same_where_equal(
    before: tuple[LocalModel, ...], after: Iterable[LocalModel]
) -> tuple[LocalModel, ...]:
    """``after``, with the objects of ``before`` for what did not change: their rows stay too."""
    known = {model.id: model for model in before}
    found = tuple(
        old if (old := known.get(model.id)) == model and old is not None else model
        for model in after
    )
    return before if found == before else found


_SILENCE = Notice(
    "The engine does not answer.",
    "Wait, esc stops the answer, or unload it.",
    failure=True,
    passing=True,
)


class DeckState(NamedTuple):
    """Everything the screens are drawn from, but the conversation."""

    models: tuple[LocalModel, ...] = ()
    scanning: bool = True
    places: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verdicts: Mapping[str, Verdict] = _NO_VERDICTS
    card: Card | None = None
    memory: MemoryLesson | None = None
    what_if_card: str = ""
    engines: tuple[EngineStatus, ...] = ()
    engines_found: bool = False
    engine_wishes: Mapping[str, str] = _NO_CHOICES
    profiles: Profiled = _NO_PROFILES
    hardware: HardwareSnapshot | None = None
    engine_memory_bytes: int | None = None
    options: Options = Options()
    loading: Loading | None = None
    loaded: LoadedModel | None = None
    notice: Notice | None = None
    retry: Retry | None = None
    slow_ms: int | None = None
    pulls: PullsBrief = PullsBrief()
    trials: Mapping[str, tuple[str, ...]] = _NO_TRIALS

    def model(self, model_id: str) -> LocalModel | None:
        """The model of a row, or None when it has gone."""
        return next((model for model in self.models if model.id == model_id), None)

    def card_for(self, model: LocalModel) -> Card | None:
        """The card that verdicts are for, with what loads of such models took on it."""
        return self.with_learnt(self.card, model)

    def with_learnt(self, card: Card | None, model: LocalModel) -> Card | None:
        """``card`` with what loads of such models took on it."""
        if card is None or self.memory is None or model.header is None:
            return card
        return self.memory.card_for(card, model.header.architecture)

    def with_engines(self, infos: Iterable[EngineInfo]) -> DeckState:
        """The same with the engines there are; what one of them has said of itself stays."""
        from modeldeck.engines.choice import EngineStatus

        known = {status.info.name: status for status in self.engines}
        engines = tuple(known.get(info.name, EngineStatus(info)) for info in infos)
        return self._replace(engines=engines, engines_found=True)

    def with_probe(self, info: EngineInfo, probe: Probe) -> DeckState:
        """The same with what an engine says of itself now."""
        from dataclasses import replace  # 4 ms, which a start does without

        engines = (replace(e, probe=probe) if e.info.name == info.name else e for e in self.engines)
        return self._replace(engines=tuple(engines))

    def engine_for(self, model: LocalModel) -> Choice:
        """The engine that would run ``model`` now, and why."""
        from modeldeck.engines.choice import choose

        return choose(
            model, self.engines, wanted=self.engine_wishes.get(model.name), loaded=self.loaded
        )

    def profile(self, model: LocalModel) -> FitOptions | None:
        """How the user had ``model`` loaded in the engine that would run it now."""
        if not self.profiles:
            return None
        from modeldeck.tui.wishes import profile_in

        return profile_in(self.profiles, model, self.engine_for(model).engine)

    def refusal(self, model: LocalModel | None) -> Notice | None:
        """Why ``model`` is not even tried; None when it may be."""
        if model is None:
            cause, step = "That model has gone.", "Look through the folders again."
        elif model.problem is not None:
            cause, step = f"{model.name}: {model.problem}", "Choose another model."
        elif self.engines_found and not any(e.info.runs(model) for e in self.engines):
            choice = self.engine_for(model)
            cause, step = f"{model.name}: {choice.reason}", choice.next_step
        else:
            return None
        return Notice(cause, step, failure=True)

    def devices_of(self, engine: str | None) -> tuple[Device, ...]:
        """What an engine can run on, as far as it was asked."""
        found = next((e for e in self.engines if e.info.name == engine), None)
        return found.probe.devices if found is not None and found.probe is not None else ()

    def hearing(self, *, silent: bool, unkept: ModeldeckError | None = None) -> DeckState:
        """The same, with a notice while the engine does not answer or nothing can be kept.

        Itself when nothing changes.
        """
        wanted = _SILENCE if silent else _unkept(unkept) if unkept is not None else None
        passing = self.notice is not None and self.notice.passing
        if wanted == self.notice or (wanted is None and not passing):
            return self
        return self._replace(notice=wanted)


def _unkept(problem: ModeldeckError) -> Notice:
    cause = f"The answer is not kept yet: {problem.cause}"
    return Notice(cause, problem.next_step, failure=True, passing=True)
