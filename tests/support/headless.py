"""An engine, a store and a meter put together as the deck does, without a deck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from modeldeck.engines.chat import ChatMessage, ChatRequest, Sampling
from modeldeck.engines.contract import Engine
from modeldeck.engines.store.conversations import Conversations, Message, Outcome, State
from modeldeck.engines.store.stream_writer import StreamWriter
from modeldeck.engines.types import LoadedModel, LocalModel, ModelFormat, Plan, Source
from modeldeck.tui.reply import ReplyEnd, ReplyUpdate, run_reply
from modeldeck.tui.silence import PATIENCE_S

CPU_PLAN = Plan(context_tokens=4096, gpu_layers=0, threads=1)


def model_at(path: Path) -> LocalModel:
    """A GGUF as the catalogue would list it, its header unread."""
    size_bytes = path.stat().st_size
    return LocalModel(path.stem, path, (path,), Source.FOLDER, ModelFormat.GGUF, size_bytes)


def engine_processes() -> list[psutil.Process]:
    """The servers that run below this process."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "xllamacpp_server" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def engine_started(*, poll_s: float = 0.005) -> psutil.Process:
    """Wait until a server runs below this process. Waits for ever when none is started."""
    found = engine_processes()
    while not found:
        await asyncio.sleep(poll_s)
        found = engine_processes()
    return found[0]


@dataclass
class Answer:
    """What came of one question: what was streamed, how it ended, what is kept of it."""

    streamed: str
    end: ReplyEnd
    kept: Message


async def ask(
    engine: Engine,
    conversations: Conversations,
    loaded: LoadedModel,
    question: str,
    on_update: Callable[[ReplyUpdate], None] = lambda _: None,
    *,
    most_tokens: int | None = None,
    patience_s: float = PATIENCE_S,
) -> Answer:
    """Ask in a conversation of its own, keep the answer as it comes, and read it back."""
    conversation = conversations.create()
    said = conversations.say(conversation.id, None, question)
    begun = conversations.begin_answer(conversation.id, said.id, loaded.model.name, loaded.engine)
    streamed: list[str] = []

    def take(update: ReplyUpdate) -> None:
        streamed.append(update.text)
        on_update(update)

    writer = StreamWriter(conversations, begun.id)
    sampling = Sampling(seed=1, max_tokens=most_tokens)
    request = ChatRequest(loaded.instance, (ChatMessage("user", question),), sampling)
    end = await run_reply(engine, request, take, keeper=writer, batch_ms=20, patience_s=patience_s)
    await asyncio.to_thread(writer.close)
    assert writer.problem is None
    state: State = "failed" if end.error else "done"
    conversations.finish(begun.id, Outcome(state, end.error.cause if end.error else "", end.usage))
    return Answer("".join(streamed), end, conversations.branch(begun.id)[-1])
