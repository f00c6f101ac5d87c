"""The contract as tests: what any engine plug-in must pass, and all that the deck relies on.

Needs pytest and pytest-asyncio. In a plug-in's tests::

    class TestMyEngine(EngineContract):
        @pytest.fixture
        def harness(self, tmp_path: Path) -> EngineHarness:
            return EngineHarness(make=MyEngine, model=..., broken=...)
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

import psutil
import pytest

from modeldeck.engines.chat import (
    ChatEvent,
    ChatMessage,
    ChatRequest,
    Done,
    Image,
    PrefillProgress,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Timings,
    Usage,
)
from modeldeck.engines.contract import (
    Engine,
    HasMetrics,
    KeepsLog,
    LaunchCommand,
    Tokenizes,
)
from modeldeck.engines.errors import EngineDied, LoadFailed, RequestRefused
from modeldeck.engines.text import UNSAFE, clean_line
from modeldeck.engines.types import LoadedModel, LoadProgress, LocalModel, Plan

_MOST_LOG_LINES = 100_000
_CLOCK_SLACK_NS = 50_000_000


PIXEL = Image(
    "pixel.png",
    "image/png",
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    ),
    1,
    1,
)
"""The smallest image there is."""


@dataclass(frozen=True)
class EngineHarness:
    """What the suite needs to know of the engine under test.

    Attributes:
        make: makes a fresh engine.
        model: loads, and answers any question with at least a hundred tokens over at least a
            tenth of a second, so that there is a middle to stop in.
        broken: a model that must fail to load.
        plan: how to load both.
        seeing: a model with a projector; None when the engine takes no images.
        kill: ends the engine of a loaded model as a crash would; None when there is no such thing.
        patience_s: the longest that any one test may take.
    """

    make: Callable[[], Engine]
    model: LocalModel
    broken: LocalModel
    seeing: LocalModel | None = None
    plan: Plan = field(default_factory=lambda: Plan(context_tokens=1024))
    kill: Callable[[Engine, LoadedModel], None] | None = None
    patience_s: float = 60.0


def question(
    loaded: LoadedModel, text: str = "Why is the sky blue?", max_tokens: int | None = None
) -> ChatRequest:
    """A first question, always drawn with the same seed."""
    sampling = Sampling(seed=1, max_tokens=max_tokens)
    return ChatRequest(loaded.instance, (ChatMessage("user", text),), sampling)


async def ask(engine: Engine, request: ChatRequest) -> list[ChatEvent]:
    """All events of one reply."""
    async with aclosing(engine.chat(request)) as events:
        return [event async for event in events]


def words_of(events: list[ChatEvent]) -> str:
    """Answer and reasoning of a reply."""
    return "".join(e.text for e in events if isinstance(e, TextDelta | ReasoningDelta))


def timings_in(events: list[ChatEvent]) -> list[Timings]:
    """The timings of a reply, in their order."""
    timed = [e for e in events if isinstance(e, TextDelta | ReasoningDelta | Usage)]
    return [event.timings for event in timed if event.timings is not None]


async def _until_speaking(events: AsyncGenerator[ChatEvent, None]) -> None:
    async for event in events:
        if isinstance(event, TextDelta | ReasoningDelta):
            return
    pytest.fail("the reply ended before it began")


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@asynccontextmanager
async def running(harness: EngineHarness) -> AsyncGenerator[Engine]:
    """A fresh engine, closed afterwards; fails when a child process outlives it."""
    before = _children()
    engine = harness.make()
    async with asyncio.timeout(harness.patience_s):
        try:
            yield engine
        finally:
            await engine.close()
    assert _children() <= before, "a child process is left behind"


@asynccontextmanager
async def holding(harness: EngineHarness) -> AsyncGenerator[tuple[Engine, LoadedModel]]:
    """A fresh engine with the harness's model loaded."""
    async with running(harness) as engine:
        yield engine, await engine.load(harness.model, harness.plan)


@pytest.mark.asyncio
class EngineContract:
    """Inherit from this and give a ``harness``."""

    @pytest.fixture
    def harness(self) -> EngineHarness:
        """The engine under test and what to feed it."""
        raise NotImplementedError("an engine's tests give their own harness")

    async def test_an_engine_knows_who_it_is(self, harness: EngineHarness) -> None:
        engine = harness.make()
        info = engine.info

        assert isinstance(engine, Engine)
        assert re.fullmatch(r"[a-z0-9_]+", info.name)
        assert info.title
        assert clean_line(info.title) == info.title
        assert harness.model.format in info.formats
        assert engine.info == info

    async def test_settings_it_does_not_know_are_ignored(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            engine.configure({"no such setting": 1})
            assert engine.info == harness.make().info

    async def test_a_probe_says_what_is_here(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            probe = await engine.probe()

            assert probe.available, probe.problem
            assert probe.devices
            assert all(device.name for device in probe.devices)
            assert not probe.problem

    async def test_a_load_reports_its_progress(self, harness: EngineHarness) -> None:
        reported: list[LoadProgress] = []
        async with running(harness) as engine:
            assert not await engine.models()
            begin_ns = time.monotonic_ns()
            loaded = await engine.load(harness.model, harness.plan, reported.append)
            elapsed_ns = time.monotonic_ns() - begin_ns

            assert list(await engine.models()) == [loaded]
            assert loaded.engine == engine.info.name
            assert (loaded.model, loaded.plan) == (harness.model, harness.plan)
            assert loaded.context_tokens >= harness.plan.context_tokens
            assert 0 <= loaded.load_ns <= elapsed_ns + _CLOCK_SLACK_NS
            assert loaded.device
            assert loaded.pid is None or psutil.pid_exists(loaded.pid)
        fractions = [step.fraction for step in reported if step.fraction is not None]
        assert reported
        assert all(step.stage and clean_line(step.stage) == step.stage for step in reported)
        assert fractions == sorted(fractions)
        assert all(0 <= fraction <= 1 for fraction in fractions)

    async def test_an_answer_streams_and_ends_with_usage_and_done(
        self, harness: EngineHarness
    ) -> None:
        async with holding(harness) as (engine, loaded):
            events = await ask(engine, question(loaded, max_tokens=40))

            *stream, usage, done = events
            assert words_of(events)
            assert isinstance(usage, Usage)
            assert done == Done("length")
            assert not any(isinstance(event, Usage | Done) for event in stream)
            assert usage.completion_tokens == 40
            assert usage.prompt_tokens > 0
            assert 0 <= usage.cached_tokens <= usage.prompt_tokens

    async def test_progress_of_the_prompt_runs_forward(self, harness: EngineHarness) -> None:
        async with holding(harness) as (engine, loaded):
            events = await ask(engine, question(loaded, "word " * 100, max_tokens=1))

            steps = [event for event in events if isinstance(event, PrefillProgress)]
            processed = [step.processed for step in steps]
            assert processed == sorted(processed)
            assert all(0 <= s.cached <= s.total and s.processed <= s.total for s in steps)
            assert [type(e) for e in events[: len(steps)]] == [PrefillProgress] * len(steps)

    async def test_timings_agree_with_the_wall(self, harness: EngineHarness) -> None:
        async with holding(harness) as (engine, loaded):
            begin_ns = time.monotonic_ns()
            events = await ask(engine, question(loaded, max_tokens=40))
            elapsed_ns = time.monotonic_ns() - begin_ns

            timings = timings_in(events)
            decoded = [each.decoded_tokens for each in timings]
            decode_ns = [each.decode_ns for each in timings]
            assert decoded == sorted(decoded)
            assert decode_ns == sorted(decode_ns)
            for each in timings:
                assert 0 <= each.prefill_ns + each.decode_ns <= elapsed_ns + _CLOCK_SLACK_NS
            if timings:
                assert timings[-1].decoded_tokens == 40

    async def test_a_closed_answer_lets_the_next_one_begin_at_once(
        self, harness: EngineHarness
    ) -> None:
        async with holding(harness) as (engine, loaded):
            for _ in range(3):
                events = engine.chat(question(loaded))
                await _until_speaking(events)
                await events.aclose()
            async with asyncio.timeout(10):
                assert words_of(await ask(engine, question(loaded, max_tokens=5)))

    async def test_a_cancelled_answer_leaves_the_engine_well(self, harness: EngineHarness) -> None:
        async with holding(harness) as (engine, loaded):
            speaking = asyncio.Event()

            async def listen() -> None:
                async with aclosing(engine.chat(question(loaded))) as events:
                    await _until_speaking(events)
                    speaking.set()
                    async for _ in events:
                        pass

            task = asyncio.create_task(listen())
            await speaking.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert words_of(await ask(engine, question(loaded, max_tokens=5)))

    async def test_two_answers_one_after_the_other(self, harness: EngineHarness) -> None:
        async with holding(harness) as (engine, loaded):
            first = await ask(engine, question(loaded, max_tokens=8))
            messages = (
                ChatMessage("system", "Be brief."),
                ChatMessage("user", "Why is the sky blue?"),
                ChatMessage("assistant", words_of(first)),
                ChatMessage("user", "And at night?"),
            )
            second = await ask(
                engine, ChatRequest(loaded.instance, messages, Sampling(seed=1, max_tokens=8))
            )

            assert words_of(second)
            assert isinstance(first[-2], Usage)
            assert isinstance(second[-2], Usage)
            assert second[-2].prompt_tokens > first[-2].prompt_tokens

    async def test_unloading_frees_the_memory(self, harness: EngineHarness) -> None:
        async with holding(harness) as (engine, loaded):
            await engine.unload(loaded.instance)

            assert not await engine.models()
            assert loaded.pid is None or not psutil.pid_exists(loaded.pid)
            await engine.unload(loaded.instance)
            await engine.unload("never loaded")
            with pytest.raises(EngineDied) as died:
                await ask(engine, question(loaded))
            assert died.value.cause
            assert died.value.next_step
            again = await engine.load(harness.model, harness.plan)
            assert again.instance != loaded.instance

    async def test_a_broken_model_fails_with_a_cause_and_a_next_step(
        self, harness: EngineHarness
    ) -> None:
        async with running(harness) as engine:
            before = _children()
            with pytest.raises(LoadFailed) as failed:
                await engine.load(harness.broken, harness.plan)

            assert failed.value.cause
            assert failed.value.next_step
            assert not UNSAFE.search(str(failed.value))
            assert not await engine.models()
            assert _children() <= before
            assert await engine.load(harness.model, harness.plan)

    async def test_a_cancelled_load_leaves_nothing(self, harness: EngineHarness) -> None:
        async with running(harness) as engine:
            before = _children()
            begun = asyncio.Event()
            load = asyncio.create_task(
                engine.load(harness.model, harness.plan, lambda _: begun.set())
            )
            await begun.wait()
            load.cancel()
            with pytest.raises(asyncio.CancelledError):
                await load

            assert not await engine.models()
            assert _children() <= before

    async def test_closing_twice_is_safe(self, harness: EngineHarness) -> None:
        async with holding(harness) as (engine, loaded):
            await engine.close()
            await engine.close()

            assert not await engine.models()
            assert loaded.pid is None or not psutil.pid_exists(loaded.pid)

    async def test_an_engine_that_is_killed_in_mid_answer_can_load_again(
        self, harness: EngineHarness
    ) -> None:
        if harness.kill is None:
            pytest.skip("there is nothing to kill")
        async with holding(harness) as (engine, loaded):
            events = engine.chat(question(loaded))
            await _until_speaking(events)
            harness.kill(engine, loaded)
            with pytest.raises(EngineDied) as died:
                async for _ in events:
                    pass

            assert died.value.cause
            assert died.value.next_step
            assert not await engine.models()
            again = await engine.load(harness.model, harness.plan)
            assert words_of(await ask(engine, question(again, max_tokens=5)))

    async def test_any_text_goes_in_and_only_harmless_text_comes_out(
        self, harness: EngineHarness
    ) -> None:
        hostile = "為什麼 नमस्ते 👩‍👩‍👧 e\u0301 \x1b[31m \x07 \u202e \ufeff {{ x }} <|end|> [/]"
        async with holding(harness) as (engine, loaded):
            events = await ask(engine, question(loaded, hostile, max_tokens=100))

            assert isinstance(events[-1], Done)
            assert not UNSAFE.search(words_of(events))

    async def test_tokens_are_counted_as_they_are_used(self, harness: EngineHarness) -> None:
        async with holding(harness) as (engine, loaded):
            if not isinstance(engine, Tokenizes):
                pytest.skip("cannot tokenize")
            request = question(loaded, "Why is 天 blue?", max_tokens=1)
            text = request.messages[0].content
            tokens = await engine.tokenize(loaded.instance, text)
            counted = await engine.count_tokens(loaded.instance, request.messages)
            usage = (await ask(engine, request))[-2]

            assert tokens
            assert tokens == await engine.tokenize(loaded.instance, text)
            assert await engine.tokenize(loaded.instance, "") == ()
            assert counted >= len(tokens)
            assert isinstance(usage, Usage)
            assert usage.prompt_tokens == counted

    async def test_images_are_part_of_the_question(self, harness: EngineHarness) -> None:
        if harness.seeing is None:
            pytest.skip("takes no images")
        async with running(harness) as engine:
            blind = await engine.load(harness.model, harness.plan)
            assert not blind.sees_images
            await engine.unload(blind.instance)
            loaded = await engine.load(harness.seeing, harness.plan)
            assert loaded.sees_images

            async def tokens_of(*images: Image) -> int:
                asked = (ChatMessage("user", "What is this?", images),)
                counted: int | None = None
                if isinstance(engine, Tokenizes):
                    with suppress(RequestRefused):
                        counted = await engine.count_tokens(loaded.instance, asked)
                sampling = Sampling(seed=1, max_tokens=2)
                events = await ask(engine, ChatRequest(loaded.instance, asked, sampling))
                assert words_of(events)
                assert isinstance(events[-2], Usage)
                assert counted in (None, events[-2].prompt_tokens)
                return events[-2].prompt_tokens

            without, one = await tokens_of(), await tokens_of(PIXEL)
            assert one > without
            assert await tokens_of(PIXEL, PIXEL) == without + 2 * (one - without)

    async def test_counters_count(self, harness: EngineHarness) -> None:
        async with holding(harness) as (engine, loaded):
            if not isinstance(engine, HasMetrics):
                pytest.skip("has no metrics")
            before = await engine.metrics(loaded.instance)
            await ask(engine, question(loaded, max_tokens=10))
            after = await engine.metrics(loaded.instance)

            assert before.keys() <= after.keys()
            assert any(after[name] >= before.get(name, 0) + 10 for name in after)

    async def test_the_launch_command_names_the_model(self, harness: EngineHarness) -> None:
        engine = harness.make()
        if not isinstance(engine, LaunchCommand):
            pytest.skip("has no launch command")
        words = engine.launch_command(harness.model, harness.plan)

        assert len(words) > 1
        assert any(str(harness.model.path) in word for word in words)
        assert words == engine.launch_command(harness.model, harness.plan)

    async def test_the_log_is_harmless_and_bounded(self, harness: EngineHarness) -> None:
        async with holding(harness) as (engine, loaded):
            if not isinstance(engine, KeepsLog):
                pytest.skip("keeps no log")
            await ask(engine, question(loaded, max_tokens=2))
            lines = engine.log()

            assert 0 < len(lines) <= _MOST_LOG_LINES
            assert not any(UNSAFE.search(line) or "\n" in line for line in lines)
