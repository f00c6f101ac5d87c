"""A short check of an engine on this machine: five tokens through every part of the contract.

The contract suite (``engines.testing``) is for who writes an engine; this is for who wonders
whether one works here, with this driver and this card, before a large model is loaded in it. Five
tokens say nothing of the speed, so none is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from typing import Final, NamedTuple

from modeldeck.engines.chat import (
    ChatEvent,
    ChatMessage,
    ChatRequest,
    Done,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Usage,
)
from modeldeck.engines.contract import Engine, Tokenizes
from modeldeck.engines.errors import EngineError, ModeldeckError
from modeldeck.engines.types import LoadedModel, LocalModel, Plan

TOKENS: Final = 5
PATIENCE_S: Final = 120.0
_QUESTION: Final = (ChatMessage("user", "Say hello."),)
_READ_LOG: Final = "Read its log, or examine this machine: modeldeck doctor"


class TrialStep(NamedTuple):
    """One part of the contract, tried.

    Attributes:
        name: ``load``, ``answer``, ``counts``, ``tokenize`` or ``unload``.
        took_ms: how long it took.
        remark: what it showed; empty when there is nothing to say.
        problem: what was wrong, with the next step; empty when it holds.
    """

    name: str
    took_ms: float
    remark: str = ""
    problem: str = ""
    next_step: str = ""


class Trial(NamedTuple):
    """How an engine did.

    Attributes:
        engine: its name.
        model: the name of the model that it was tried with.
        steps: what was tried, in order; what comes after a failure is not tried, but unloading is.
    """

    engine: str
    model: str
    steps: tuple[TrialStep, ...]

    @property
    def failure(self) -> TrialStep | None:
        """The first step that does not hold."""
        return next((step for step in self.steps if step.problem), None)


async def try_engine(
    engine: Engine,
    model: LocalModel,
    plan: Plan,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    patience_s: float = PATIENCE_S,
) -> Trial:
    """Load ``model`` in ``engine``, have it say five tokens, and give its memory back.

    Never raises for what the engine does; cancelling it unloads the model.

    Args:
        engine: to be tried.
        model: a small one that it runs.
        plan: how to load it.
        clock_ns: a monotonic clock.
        patience_s: the longest that loading and answering may take together.
    """
    run = _Run(engine, clock_ns)
    try:
        async with asyncio.timeout(patience_s):
            await run.through(model, plan)
    except ModeldeckError as error:
        run.fail(error.cause, error.next_step)
    except TimeoutError:
        run.fail(f"It took more than {patience_s:.0f} s.", _READ_LOG)
    finally:
        await run.unload()
    return Trial(engine.info.name, model.name, tuple(run.steps))


class _Run:
    """The steps so far, and the model that is held meanwhile."""

    def __init__(self, engine: Engine, clock_ns: Callable[[], int]) -> None:
        self.steps: list[TrialStep] = []
        self._engine = engine
        self._clock_ns = clock_ns
        self._loaded: LoadedModel | None = None
        self._begin("load")

    def _begin(self, name: str) -> None:
        self._name, self._began_ns = name, self._clock_ns()

    def _took_ms(self) -> float:
        return (self._clock_ns() - self._began_ns) / 1e6

    def _done(self, remark: str = "") -> None:
        self.steps.append(TrialStep(self._name, self._took_ms(), remark))

    def fail(self, problem: str, next_step: str = _READ_LOG) -> None:
        """The step under way does not hold."""
        self.steps.append(TrialStep(self._name, self._took_ms(), "", problem, next_step))

    async def through(self, model: LocalModel, plan: Plan) -> None:
        """Load, answer, count."""
        loaded = self._loaded = await self._engine.load(model, plan)
        if loaded.instance not in {held.instance for held in await self._engine.models()}:
            self.fail("It loaded the model and does not say that it holds it.")
            return
        self._done(f"{loaded.context_tokens} tokens of context")
        self._begin("answer")
        request = ChatRequest(loaded.instance, _QUESTION, Sampling(seed=1, max_tokens=TOKENS))
        async with aclosing(self._engine.chat(request)) as coming:
            events = [event async for event in coming]
        if not any(isinstance(event, TextDelta | ReasoningDelta) for event in events):
            self.fail("It answered nothing.")
        elif not isinstance(events[-1], Done):
            self.fail("Its answer had no end.")
        else:
            pieces = sum(isinstance(event, TextDelta | ReasoningDelta) for event in events)
            self._done(f"in {pieces} pieces")
            self._check_counts(events)
            await self._tokenize(loaded)

    def _check_counts(self, events: Iterable[ChatEvent]) -> None:
        self._begin("counts")
        usage = next((event for event in events if isinstance(event, Usage)), None)
        if usage is None:
            self._done("it does not count; tokens are what came in pieces")
        elif not 0 < usage.completion_tokens <= TOKENS:
            self.fail(f"It was asked for {TOKENS} tokens and counts {usage.completion_tokens}.")
        elif usage.prompt_tokens <= 0:
            self.fail("It counts no tokens of the question.")
        else:
            source = usage.timings.source if usage.timings else "wall"
            clock = "its own" if source == "engine" else "the wall's"
            self._done(f"{usage.prompt_tokens} in, {usage.completion_tokens} out, by {clock} clock")

    async def _tokenize(self, loaded: LoadedModel) -> None:
        if not isinstance(self._engine, Tokenizes):
            return
        self._begin("tokenize")
        ids = await self._engine.tokenize(loaded.instance, "Hello, how are you?")
        if ids:
            self._done(f"{len(ids)} tokens")
        else:
            self.fail("It cuts a sentence into no tokens.")

    async def unload(self) -> None:
        """Give the memory back, whatever came before."""
        loaded = self._loaded
        if loaded is None:
            return
        self._begin("unload")
        try:
            await self._engine.unload(loaded.instance)
        except EngineError as error:
            self.fail(error.cause, error.next_step)
            return
        held: set[str] = set()
        with suppress(ModeldeckError):
            held = {one.instance for one in await self._engine.models()}
        if loaded.instance in held:
            self.fail("It was asked to give the model back and holds it still.")
        else:
            self._done()
