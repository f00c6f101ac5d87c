"""One reply from end to end: what the face is told, what is kept, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from modeldeck.engines.chat import ChatEvent, ChatMessage, ChatRequest, Sampling, TextDelta
from modeldeck.engines.errors import (
    EngineDied,
    EngineError,
    ModeldeckError,
    RequestRefused,
)
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.engines.types import LocalModel, ModelFormat, Plan, Source
from modeldeck.tui.reply import ReplyEnd, ReplyUpdate, run_reply

MODEL = LocalModel("m", Path("m"), (Path("m"),), Source.FOLDER, ModelFormat.GGUF, 1)


class Kept:
    """Keeps in memory what a conversation store would keep on disk."""

    problem: ModeldeckError | None = None

    def __init__(self) -> None:
        self.text = ""
        self.reasoning = ""
        self.writes = 0

    def write(self, text: str, reasoning: str) -> None:
        self.text += text
        self.reasoning += reasoning
        self.writes += 1


class Story:
    """A reply of a scripted engine, watched."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine
        self.updates: list[ReplyUpdate] = []
        self.kept = Kept()
        self.speaking = asyncio.Event()

    @property
    def text(self) -> str:
        return "".join(update.text for update in self.updates)

    @property
    def reasoning(self) -> str:
        return "".join(update.reasoning for update in self.updates)

    def note(self, update: ReplyUpdate) -> None:
        self.updates.append(update)
        if update.text:
            self.speaking.set()

    async def run(self, batch_ms: int = 20, max_tokens: int | None = None) -> ReplyEnd:
        loaded = await self.engine.load(MODEL, Plan())
        question = (ChatMessage("user", "Why?"),)
        request = ChatRequest(loaded.instance, question, Sampling(max_tokens=max_tokens))
        return await run_reply(self.engine, request, self.note, keeper=self.kept, batch_ms=batch_ms)


async def test_every_word_arrives_once_in_the_update_and_with_the_keeper() -> None:
    answer = tuple(f"word{n} " for n in range(100))
    story = Story(ScriptedEngine(Script(answer=answer, reasoning=("Hm, ", "so."))))

    end = await story.run()

    assert story.text == story.kept.text == "".join(answer)
    assert story.reasoning == story.kept.reasoning == "Hm, so."
    assert story.kept.writes == 102
    assert (end.reason, end.error) == ("stop", None)
    assert end.usage is not None
    assert end.usage.completion_tokens == end.reading.completion_tokens == 102
    assert end.reading.phase == "done"
    assert end.reading.decode_mean is not None
    assert end.reading.decode_mean.source == "engine"
    assert end.reading.decode_mean.tokens_per_second == pytest.approx(1000)


async def test_words_come_in_batches_and_the_last_is_never_held_back() -> None:
    story = Story(ScriptedEngine(Script(answer=("a ",) * 200)))

    await story.run(batch_ms=50)

    # 200 tokens take at least 0.2 s; a slow machine makes fewer tokens for each update, not more.
    assert len(story.updates) < 100
    assert story.text == "a " * 200
    assert story.updates[-1].reading.phase == "done"


async def test_a_batch_longer_than_the_reply_still_tells_all() -> None:
    story = Story(ScriptedEngine())

    await story.run(batch_ms=60_000)

    assert [update.text for update in story.updates] == ["Hello, deck."]


async def test_a_stalled_engine_is_seen_to_slow_down() -> None:
    stalled = asyncio.Event()
    tokens = 0

    async def sleep(seconds: float) -> None:
        nonlocal tokens
        tokens += 1
        await (stalled.wait() if tokens > 60 else asyncio.sleep(0.001))

    story = Story(ScriptedEngine(Script(answer=("a ",) * 200), sleep=sleep))
    reply = asyncio.create_task(story.run(batch_ms=20))

    async def falls_by_half() -> None:
        while True:
            rates = [u.reading.decode_now for u in story.updates]
            now = [rate.tokens_per_second for rate in rates if rate is not None]
            if now and now[-1] < max(now) / 2:
                return
            await asyncio.sleep(0.02)

    await asyncio.wait_for(falls_by_half(), 30)
    stalled.set()
    assert (await reply).reason == "stop"


async def test_a_cancelled_reply_keeps_its_words_and_says_so() -> None:
    story = Story(ScriptedEngine(Script(answer=("a ",) * 1000, decode_token_ns=5_000_000)))
    reply = asyncio.create_task(story.run())
    await story.speaking.wait()

    reply.cancel()
    end = await reply

    assert (end.reason, end.error) == ("cancelled", None)
    assert end.reading.phase == "stopped"
    assert 0 < len(story.text) < 2000
    assert story.text == story.kept.text
    (loaded,) = await story.engine.models()
    counters = await story.engine.metrics(loaded.instance)
    await asyncio.sleep(0.02)
    assert await story.engine.metrics(loaded.instance) == counters  # the engine has stopped, too


async def test_an_engine_that_dies_in_mid_reply_leaves_the_words_and_a_next_step() -> None:
    story = Story(ScriptedEngine(Script(answer=("a ",) * 50, dies_after=10)))

    end = await story.run()

    assert isinstance(end.error, EngineDied)
    assert end.error.next_step
    assert end.reason is None
    assert end.reading.phase == "failed"
    assert story.text == story.kept.text == "a " * 10


async def test_a_refusal_is_returned_and_nothing_was_said() -> None:
    story = Story(ScriptedEngine(Script(refuses="Too long.")))

    end = await story.run()

    assert isinstance(end.error, RequestRefused)
    assert (end.reason, end.usage, story.text, story.kept.writes) == (None, None, "", 0)


async def test_a_strangers_bug_is_an_error_a_user_can_read() -> None:
    class Buggy(ScriptedEngine):
        async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
            yield TextDelta("so far ")
            raise KeyError("\x1b[31mchoices")

    story = Story(Buggy())

    end = await story.run()

    assert isinstance(end.error, EngineError)
    assert "KeyError" in end.error.cause
    assert "\x1b" not in end.error.cause
    assert story.text == "so far "


async def test_a_limit_ends_the_reply_by_its_name() -> None:
    end = await Story(ScriptedEngine()).run(max_tokens=2)

    assert end.reason == "length"
    assert end.usage is not None
    assert end.usage.completion_tokens == 2


async def test_nothing_is_told_after_the_end_and_no_task_is_left() -> None:
    story = Story(ScriptedEngine())
    await story.run(batch_ms=1)
    told = len(story.updates)

    await asyncio.sleep(0.02)

    assert len(story.updates) == told
    assert asyncio.all_tasks() == {asyncio.current_task()}
