"""Conversations of any length, and a deck that shows one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.engines.store.conversations import Conversations
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from tests.support.decks import Deck, dense, open_deck

WORDS = "A **paragraph** of some length, with `code` and a few more words to wrap at the edge. " * 3
BATCHES = 100


def keep_conversation(home: Path, messages: int) -> int:
    """Keep a conversation of so many messages, as if it had been held; returns its number."""
    database = Database.open(home / "deck.db", SCHEMAS)
    conversation = Conversations(database).create().id
    with database.transaction() as connection:
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()
        connection.executemany(
            "INSERT INTO messages (id, conversation, parent, role, text, reasoning, model, engine,"
            " state, error, writer, started) VALUES (?, ?, ?, ?, ?, '', 'm', 'e', 'done', '', '',"
            " 0)",
            [
                (
                    last + n + 1,
                    conversation,
                    last + n if n else None,
                    "assistant" if n % 2 else "user",
                    f"{n}: {WORDS}",
                )
                for n in range(messages)
            ],
        )
        connection.execute(
            "UPDATE conversations SET leaf = ?, title = 'long' WHERE id = ?",
            (last + messages, conversation),
        )
    database.close()
    return conversation


class Roomy(ScriptedEngine):
    """An engine in whose context any conversation has room."""

    async def count_tokens(self, instance: str, messages: Sequence[ChatMessage]) -> int:
        """One for each message."""
        return len(messages)


@asynccontextmanager
async def deck_with(home: Path, messages: int) -> AsyncGenerator[tuple[Deck, int]]:
    """A deck with a model loaded, and the number of a kept conversation, not yet shown."""
    (home / "models").mkdir(parents=True)
    dense(home / "models", "Small-3B", blocks=28, embedding=3072)
    conversation = keep_conversation(home, messages)
    script = Script(
        answer=tuple(f"word{n} " for n in range(2 * BATCHES)), decode_token_ns=10_000_000
    )
    async with open_deck(home, Roomy(script)) as deck:
        await deck.rest()
        await deck.press("end", "enter")
        await deck.see("Small-3B Q4_K_M")
        yield deck, conversation


async def open_long(deck: Deck, conversation: int, messages: int) -> None:
    """Show the conversation and wait until its end is painted."""
    deck.app.talk.open(conversation)
    while len(deck.app.talk.messages) != messages or f"{messages - 1}: A" not in deck.text:
        await deck.pilot.pause(0.005)
