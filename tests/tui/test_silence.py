"""What the face is told of an engine that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from modeldeck.engines.chat import ChatEvent, ChatMessage, ChatRequest, Done, TextDelta
from modeldeck.engines.contract import OnProgress, ignore_progress
from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.engines.types import LoadedModel, LocalModel, ModelFormat, Plan, Source
from modeldeck.tui.reply import ReplyUpdate, run_reply
from modeldeck.tui.state import DeckState, Notice
from tests.support.decks import dense, open_deck

MODEL = LocalModel("m", Path("m"), (Path("m"),), Source.FOLDER, ModelFormat.GGUF, 1)
REQUEST = ChatRequest("scripted", (ChatMessage("user", "Go on"),))


class Hanging(ScriptedEngine):
    """Says a word, then waits to be released; whether it answers meanwhile is set."""

    def __init__(self, *, answering: bool) -> None:
        super().__init__(Script())
        self.answering = answering
        self.asked = 0
        self.release = asyncio.Event()

    async def answers(self, instance: str) -> bool:
        assert instance == REQUEST.instance
        self.asked += 1
        return self.answering

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        return (await super().load(model, plan, on_progress))._replace(instance=REQUEST.instance)

    async def models(self) -> tuple[LoadedModel, ...]:
        held = await super().models()
        return tuple(loaded._replace(instance=REQUEST.instance) for loaded in held)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        yield TextDelta("one ")
        await self.release.wait()
        yield TextDelta("two")
        yield Done("stop")


async def story(engine: Hanging, *, releases_on_silence: bool) -> list[ReplyUpdate]:
    updates: list[ReplyUpdate] = []

    def take(update: ReplyUpdate) -> None:
        updates.append(update)
        if update.silent == releases_on_silence and engine.asked >= 3:
            engine.release.set()

    end = await run_reply(engine, REQUEST, take, batch_ms=1, patience_s=0.01)
    assert (end.reason, end.error) == ("stop", None)
    assert "".join(update.text for update in updates) == "one two"
    return updates


async def test_one_that_hangs_is_called_silent_until_it_goes_on() -> None:
    updates = await story(Hanging(answering=False), releases_on_silence=True)
    assert any(update.silent for update in updates)
    assert not updates[-1].silent


async def test_one_that_is_only_busy_is_not() -> None:
    updates = await story(Hanging(answering=True), releases_on_silence=False)
    assert not any(update.silent for update in updates)


async def test_one_that_cannot_be_asked_is_not() -> None:
    updates: list[ReplyUpdate] = []
    engine = ScriptedEngine(Script(decode_token_ns=30_000_000))
    loaded = await engine.load(MODEL, Plan())
    request = REQUEST._replace(instance=loaded.instance)
    end = await run_reply(engine, request, updates.append, batch_ms=1, patience_s=0.001)
    assert end.reason == "stop"
    assert not any(update.silent for update in updates)


def test_the_notice_comes_and_goes_and_leaves_others_alone() -> None:
    state = DeckState()
    assert state.hearing(silent=False) is state
    silent = state.hearing(silent=True)
    assert silent.notice is not None
    assert silent.notice.failure
    assert "does not answer" in silent.notice.cause
    assert silent.notice.next_step
    assert silent.hearing(silent=True) is silent
    assert silent.hearing(silent=False).notice is None
    other = state._replace(notice=Notice("Theme ink."))
    assert other.hearing(silent=False) is other


async def test_in_the_deck_it_is_said_and_taken_back(fresh_home: Path) -> None:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Small-3B", blocks=28, embedding=3072)
    engine = Hanging(answering=False)
    async with open_deck(fresh_home, engine, size=(80, 24)) as deck:
        await deck.rest()
        await deck.press("end", "enter")
        await deck.see("Small-3B Q4_K_M")
        await deck.type("Hi")
        await deck.press("enter")
        await deck.see("✕ The engine does not answer. Wait, esc stops the answer, or unload it.")
        engine.release.set()
        await deck.see("one two")
        assert "does not answer" not in deck.text


def test_what_cannot_be_kept_is_said_at_once_and_no_longer_than_it_holds() -> None:
    full = ModeldeckError("There is no room left.", "Make room.")
    state = DeckState()
    told = state.hearing(silent=False, unkept=full)
    assert told.notice is not None
    assert told.notice.cause == "The answer is not kept yet: There is no room left."
    assert told.hearing(silent=False, unkept=full) is told
    assert told.hearing(silent=False).notice is None
    hangs = told.hearing(silent=True, unkept=full)
    assert hangs.notice is not None
    assert "does not answer" in hangs.notice.cause
