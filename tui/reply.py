"""One reply from end to end: an engine's events into batched updates, metered and saved.

Knows nothing of Textual, so that the command line and the deck share it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from modeldeck.engines.chat import ChatRequest, Done, ReasoningDelta, StopReason, TextDelta, Usage
from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import EngineError, ModeldeckError
from modeldeck.engines.meter import Meter, Reading
from modeldeck.engines.text import clean_line
from modeldeck.tui.silence import PATIENCE_S, Silence


class Keeper(Protocol):
    """Where the words of a reply are kept as they come (the conversation store's stream writer)."""

    @property
    def problem(self) -> ModeldeckError | None:
        """Why words are not kept now; None when all is well."""
        ...

    def write(self, text: str, reasoning: str) -> None:
        """Keep the next piece; may gather pieces for a short while."""
        ...


class NoKeeper:
    """A keeper that keeps nothing: for the command line."""

    problem: ModeldeckError | None = None

    def write(self, text: str, reasoning: str) -> None:
        """Drop it."""


@dataclass(frozen=True, slots=True)
class ReplyUpdate:
    """What came since the last update, and the meter's reading now.

    Attributes:
        text: of the answer.
        reasoning: of the model's reasoning.
        reading: the meter's.
        silent: the engine does not answer at all: it hangs, or was stopped.
        unkept: why the words are not kept now; None when they are.
    """

    text: str
    reasoning: str
    reading: Reading
    silent: bool = False
    unkept: ModeldeckError | None = None


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """How a reply ended.

    Attributes:
        reason: why it ended; None when it failed.
        usage: final counts, when the engine gave them.
        reading: the meter's last reading.
        error: what went wrong, or None.
        text: the whole answer, as far as it came.
        reasoning: all of it, as far as it came.
    """

    reason: StopReason | None
    usage: Usage | None
    reading: Reading
    error: ModeldeckError | None = None
    text: str = ""
    reasoning: str = ""


@dataclass(slots=True)
class _Pieces:
    text: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    _taken: tuple[int, int] = (0, 0)

    def take(self) -> tuple[str, str]:
        """What came since it was last taken."""
        text, reasoning = self._taken
        self._taken = len(self.text), len(self.reasoning)
        return "".join(self.text[text:]), "".join(self.reasoning[reasoning:])


async def run_reply(
    engine: Engine,
    request: ChatRequest,
    on_update: Callable[[ReplyUpdate], None],
    *,
    keeper: Keeper | None = None,
    batch_ms: int | Callable[[], int] = 100,
    patience_s: float = PATIENCE_S,
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> ReplyEnd:
    """Ask ``engine`` and report what comes, at most once per ``batch_ms``.

    Cancelling the task stops the engine and still returns, with the reason ``cancelled``; an
    engine's error is returned, not raised. Words already reported stand in every case.

    Args:
        engine: holds ``request.instance`` loaded.
        request: the conversation.
        on_update: called from the event loop, also while nothing comes, so that a stalled
            engine's rate is seen to fall.
        keeper: gets every piece at once.
        batch_ms: the shortest time between two updates; asked for each when it is a function.
        patience_s: how long nothing may come before the engine is asked whether it is there.
        clock_ns: monotonic clock, for tests.
    """
    meter = Meter()
    meter.started(clock_ns())
    pieces = _Pieces()
    kept = keeper or NoKeeper()
    silence = Silence(engine, request.instance, patience_s)

    def report() -> None:
        text, reasoning = pieces.take()
        on_update(
            ReplyUpdate(text, reasoning, meter.reading(clock_ns()), silence.total, kept.problem)
        )

    async def tick() -> None:
        while True:
            wait_ms = batch_ms() if callable(batch_ms) else batch_ms
            await asyncio.sleep(wait_ms / 1000)
            report()

    usage: Usage | None = None
    reason: StopReason | None = None
    error: ModeldeckError | None = None
    watchers = [asyncio.create_task(tick()), asyncio.create_task(silence.run())]
    try:
        async with aclosing(engine.chat(request)) as events:
            async for event in events:
                silence.broken()
                meter.observe(event, clock_ns())
                match event:
                    case TextDelta(text=text):
                        pieces.text.append(text)
                        kept.write(text, "")
                    case ReasoningDelta(text=text):
                        pieces.reasoning.append(text)
                        kept.write("", text)
                    case Usage():
                        usage = event
                    case Done(reason=ended):
                        reason = ended
                    case _:
                        pass
    except asyncio.CancelledError:
        reason = "cancelled"
        meter.stopped(clock_ns())
    except ModeldeckError as caught:
        error = caught
        meter.failed(clock_ns())
    except Exception as caught:
        error = EngineError(
            f"The engine failed in a way that was not foreseen: {clean_line(repr(caught), 200)}.",
            "Ask again; if it comes back, report it with the log.",
        )
        meter.failed(clock_ns())
    finally:
        for watcher in watchers:
            watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*watchers, return_exceptions=True)
    silence.broken()
    report()
    return ReplyEnd(
        reason,
        usage,
        meter.reading(clock_ns()),
        error,
        "".join(pieces.text),
        "".join(pieces.reasoning),
    )
