"""A conversation with its store, answered by whoever drives it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from modeldeck.engines.chat import ChatMessage, ChatRequest, StopReason, Usage
from modeldeck.engines.meter import IDLE
from modeldeck.engines.store.conversations import Conversations, Message
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.model_settings import ModelSettings
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.types import LoadedModel, LocalModel, ModelFormat, Plan, Source
from modeldeck.tui.reply import Keeper, ReplyEnd
from modeldeck.tui.talk import Talk
from modeldeck.tui.talk_events import NotKept, TalkEvent

MODEL = LocalModel("m", Path("m"), (Path("m"),), Source.FOLDER, ModelFormat.GGUF, 1)
LOADED = LoadedModel("i", "scripted", "1", MODEL, Plan(4096), 4096, None, 0, "CPU")


@dataclass
class Asked:
    """An engine that is asked and answers when the test says so."""

    requests: list[tuple[int, ChatRequest, Keeper]] = field(
        default_factory=list[tuple[int, ChatRequest, Keeper]]
    )
    counted: list[tuple[LoadedModel, tuple[ChatMessage, ...], str]] = field(
        default_factory=list[tuple[LoadedModel, tuple[ChatMessage, ...], str]]
    )
    weighed: list[tuple[tuple[ChatMessage, ...], int]] = field(
        default_factory=list[tuple[tuple[ChatMessage, ...], int]]
    )
    stopped: int = 0

    def reply(
        self, message_id: int, engine_name: str, request: ChatRequest, keeper: Keeper
    ) -> None:
        self.requests.append((message_id, request, keeper))

    def stop_reply(self) -> None:
        self.stopped += 1

    def count(self, loaded: LoadedModel, prompt: tuple[ChatMessage, ...], text: str) -> None:
        self.counted.append((loaded, prompt, text))

    def weigh(self, loaded: LoadedModel, told: tuple[ChatMessage, ...], leaf: int) -> None:
        self.weighed.append((told, leaf))


class Conversing:
    """A talk, its store, and everything it told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database.open(path, SCHEMAS, busy_seconds=0.2)
        self.kept = Conversations(self.database, end_orphans=False)
        self.jobs = Asked()
        self.told: list[TalkEvent] = []
        self.models = ModelSettings(self.database)
        self.talk = Talk(self.kept, self.models, self.jobs, self.told.append)

    @property
    def problems(self) -> list[NotKept]:
        return [event for event in self.told if isinstance(event, NotKept)]

    @property
    def busy(self) -> bool:
        return self.talk.busy

    async def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(2000):
            if holds():
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"never came: {self.told}")

    async def ask(self, text: str) -> None:
        """Say something and wait until an answer is asked for."""
        asked = len(self.jobs.requests)
        self.talk.submit(text)
        await self.until(lambda: len(self.jobs.requests) > asked)

    def answer(self, text: str, reason: StopReason = "stop") -> None:
        """Write the answer that was asked for."""
        message_id, _, keeper = self.jobs.requests[-1]
        keeper.write(text, "")
        usage = Usage(10, 3, 0, None)
        self.talk.ended(message_id, ReplyEnd(reason, usage, IDLE, text=text))

    async def exchange(self, question: str, answer: str) -> None:
        await self.ask(question)
        self.answer(answer)
        await self.until(lambda: self.kept.branch(self.talk.branch.leaf)[-1].state == "done")

    def said(self) -> list[tuple[str, str]]:
        return [(message.role, message.text) for message in self.talk.messages]

    @contextmanager
    def locked(self) -> Generator[None]:
        """Another program holds the database."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    def on_disk(self) -> tuple[Message, ...]:
        """The branch followed, as another program would read it."""
        database = Database.open(self.path, SCHEMAS)
        try:
            kept = Conversations(database)
            (conversation,) = kept.recent()
            return kept.branch(conversation.leaf)
        finally:
            database.close()
