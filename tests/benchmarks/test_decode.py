"""Whether the deck costs the engine anything: the same replies with it and without."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple

import pytest

from modeldeck.engines import registry
from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.chat import ChatMessage, ChatRequest, Sampling, Usage
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.model_settings import ChatSettings, ModelSettings
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.types import LocalModel, Plan, Source
from tests.support.machine import Machine
from tests.support.measures import interleaved
from tests.support.random_model import LARGE, make_random_model
from tests.support.terminal import Terminal

pytestmark = pytest.mark.bench

PAIRS = 9
TOKENS = 96
CONTEXT = 4096
QUESTION = "Tell me a long story"


class Reply(NamedTuple):
    """How fast a reply was."""

    tokens_per_second: float
    wall_seconds: float


@pytest.fixture
def large(machine: Machine) -> Path:
    """A model of 318 million parameters whose answers end after so many tokens."""
    machine.settings(f'model_dirs = ["~/models"]\ncontext_tokens = {CONTEXT}\n')
    path = make_random_model(machine.models / "a-large.gguf", LARGE)
    machine.database.parent.mkdir(parents=True, mode=0o700)
    database = Database.open(machine.database, SCHEMAS)
    settings = ChatSettings(sampling=Sampling(max_tokens=TOKENS))
    ModelSettings(database).set(found_at(path), settings)
    database.close()
    return path


def found_at(path: Path) -> LocalModel:
    return next(m for m in scan([Place(Source.FOLDER, path.parent)]).models if m.path == path)


@asynccontextmanager
async def headless(path: Path) -> AsyncGenerator[Callable[[], asyncio.Task[Reply]]]:
    """The engine with the model loaded; what comes back asks it once."""
    engine = registry.create("llama_server")
    loaded = await engine.load(found_at(path), Plan(context_tokens=CONTEXT, gpu_layers=0))

    async def ask() -> Reply:
        request = ChatRequest(
            loaded.instance, (ChatMessage("user", QUESTION),), Sampling(max_tokens=TOKENS)
        )
        usage: Usage | None = None
        begun = time.perf_counter()
        async for event in engine.chat(request):
            if isinstance(event, Usage):
                usage = event
        seconds = time.perf_counter() - begun
        assert usage is not None
        assert usage.timings is not None
        assert usage.timings.source == "engine"
        return reply_of(usage.timings.decoded_tokens, usage.timings.decode_ns, seconds)

    try:
        yield lambda: asyncio.ensure_future(ask())
    finally:
        await engine.close()


def reply_of(decoded_tokens: int, decode_ns: int, wall_seconds: float) -> Reply:
    assert decoded_tokens >= TOKENS - 1
    return Reply(decoded_tokens / decode_ns * 1e9, wall_seconds)


def open_chat(deck: Terminal) -> None:
    """Load the first model of the list."""
    deck.wait_for(r"llama_server ●")
    deck.press("HOME", "ENTER")
    deck.wait_for(r"a-large Q4_0 +llama_server on CPU")


def ask_deck(deck: Terminal, database: Path) -> Reply:
    """Ask in a new conversation, with the panel live; what the store keeps says how it went."""
    deck.press("^n")
    deck.wait_gone(r"\bdone\b")
    deck.type(QUESTION)
    query = (
        "SELECT id, decoded_tokens, decode_ns, timing_source FROM messages"
        " WHERE role = 'assistant' AND state = 'done' ORDER BY id DESC LIMIT 1"
    )
    with closing(sqlite3.connect(database)) as connection:

        def newest() -> tuple[int, int, int, str]:
            return connection.execute(query).fetchone() or (0, 0, 0, "")

        before, *_ = newest()
        begun = time.perf_counter()
        deck.press("ENTER")
        deck.drain(lambda: newest()[0] > before)
        seconds = time.perf_counter() - begun
        _, tokens, nanoseconds, source = newest()
    deck.wait_for(r"│ done\b")
    assert source == "engine"
    return reply_of(tokens, nanoseconds, seconds)


def test_decoding_is_as_fast_under_the_deck(
    machine: Machine, large: Path, measured: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(machine.runtime))
    deck_replies: list[Reply] = []
    bare_replies: list[Reply] = []
    with asyncio.Runner() as runner, machine.deck(CUDA_VISIBLE_DEVICES="") as deck:
        engine = headless(large)
        ask = runner.run(engine.__aenter__())
        try:
            open_chat(deck)

            def in_the_deck() -> float:
                deck_replies.append(ask_deck(deck, machine.database))
                return deck_replies[-1].tokens_per_second

            def without() -> float:
                async def one() -> Reply:
                    return await ask()

                bare_replies.append(runner.run(one()))
                return bare_replies[-1].tokens_per_second

            in_the_deck()
            without()
            deck_replies.clear()
            bare_replies.clear()
            rounds = interleaved(PAIRS, in_the_deck, without)
        finally:
            runner.run(engine.__aexit__(None, None, None))
    measured(
        "decode through the deck, over the same engine and model without a face",
        *(ours / bare for ours, bare in rounds),
        sense="at least",
        limit=0.95,
    )
    measured(
        "the same by our clock, from the question to the end of the answer",
        *(
            bare.wall_seconds / ours.wall_seconds
            for ours, bare in zip(deck_replies, bare_replies, strict=True)
        ),
    )
    measured("the rate without a face", *(bare for _, bare in rounds), unit="tokens/s")
