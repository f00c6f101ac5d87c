"""A search through ten thousand kept messages, with the index and by reading them all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modeldeck.engines.store.conversation_list import ConversationList
from modeldeck.engines.store.conversations import Conversations
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS

MESSAGES, CONVERSATIONS, WORDS = 10_000, 500, 150
TYPED = ("word77", "word1234 word5", "化後")
ROUNDS = 5


def filled(path: Path) -> Database:
    """A database with so many messages, half English and half Chinese, always the same ones."""
    database = Database.open(path, SCHEMAS)
    kept = Conversations(database)
    draw = random.Random(1)
    english, chinese = [f"word{number} " for number in range(3000)], "一個以化後大約是模型量"
    chats = [kept.create().id for _ in range(CONVERSATIONS)]
    with database.transaction() as connection:
        for number in range(MESSAGES):
            words = draw.choices(english if number % 2 else chinese, k=WORDS)
            done = connection.execute(
                "INSERT INTO messages (conversation, role, text, reasoning, model, engine, state,"
                " error, writer, started) VALUES (?, 'user', ?, '', '', '', 'done', '', '', 0)",
                (chats[number % CONVERSATIONS], "".join(words)),
            )
            connection.execute(
                "UPDATE conversations SET leaf = ? WHERE id = ?",
                (done.lastrowid, chats[number % CONVERSATIONS]),
            )
    return database


def seconds(listing: ConversationList) -> float:
    """The time of one search, the mean over some queries."""
    begin = time.perf_counter()
    found = [len(listing.search(typed)) for typed in TYPED]
    assert all(found)
    return (time.perf_counter() - begin) / len(TYPED)


@pytest.mark.bench
def test_ten_thousand_messages_are_searched_while_one_types(
    tmp_path: Path, measured: Callable[..., None]
) -> None:
    database = filled(tmp_path / "deck.db")
    indexed, reading = (ConversationList(database, indexed=each) for each in (True, False))
    begin = time.perf_counter()
    indexed.search("a")
    measured("indexing 10,000 messages, once, s", time.perf_counter() - begin, unit="s")
    pairs = [(seconds(indexed), seconds(reading)) for _ in range(ROUNDS)]
    database.close()
    measured("searching 10,000 messages, s", *(one for one, _ in pairs), unit="s", limit=0.25)
    measured("the same, with / without the index", *(one / all_ for one, all_ in pairs), limit=0.5)
