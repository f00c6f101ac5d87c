"""Two decks at the same moment with the same database: made, brought up to date, written."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.store import conversations, headers
from modeldeck.engines.store.conversation_list import ConversationList
from modeldeck.engines.store.conversations import Conversations
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import CachedHeader, HeaderCache, Stamp
from modeldeck.engines.store.schemas import SCHEMAS
from tests.support.pairs import pair

ROUNDS = 20
OLD = (headers.SCHEMA, conversations.SCHEMA)

_OPEN = """
from pathlib import Path
from modeldeck.engines.store.conversations import Conversations
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS

def turn(path, text):
    database = Database.open(Path(path), SCHEMAS)
    assert not database.note, database.note
    kept = Conversations(database)
    kept.say(kept.create().id, None, text)
    database.close()
"""
_WRITE = """
from pathlib import Path
from modeldeck.engines.store.conversations import Conversations, Outcome
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import CachedHeader, HeaderCache, Stamp
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.store.stream_writer import StreamWriter

def turn(path, name):
    database = Database.open(Path(path), SCHEMAS)
    kept, cache = Conversations(database), HeaderCache(database)
    question = kept.say(kept.create().id, None, name)
    answer = kept.begin_answer(question.conversation, question.id, name, "engine")
    writer = StreamWriter(kept, answer.id, flush_seconds=0.001)
    for number in range(200):
        writer.write(f"{name}-{number} ", "")
        if number % 20 == 0:
            cache.put(Path(f"/{name}/{number}.gguf"), Stamp(name), CachedHeader(None, name))
            cache.save()
    writer.close()
    assert writer.problem is None, writer.problem
    kept.finish(answer.id, Outcome("done"))
    database.close()
"""


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_the_tables_are_made_once(tmp_path: Path, old: bool) -> None:
    with pair(_OPEN) as decks:
        for number in range(ROUNDS):
            path = tmp_path / str(number) / "deck.db"
            if old:
                database = Database.open(path, OLD)
                kept = Conversations(database)
                kept.say(kept.create().id, None, "before")
                database.close()
            decks.turn((path, "left"), (path, "right"))
            database = Database.open(path, SCHEMAS)
            said = {listed.title for listed in ConversationList(database).recent()}
            assert said == {"left", "right"} | ({"before"} if old else set())
            assert len(ConversationList(database).search("left")) == 1
            (check,) = database.rows("PRAGMA integrity_check")
            database.close()
            assert check[0] == "ok"
            assert not list(path.parent.glob("*damaged*"))


def test_both_write_an_answer_and_the_header_cache(tmp_path: Path) -> None:
    path = tmp_path / "deck.db"
    with pair(_WRITE) as decks:
        decks.turn((path, "left"), (path, "right"))
    database = Database.open(path, SCHEMAS)
    kept, cache = Conversations(database), HeaderCache(database)
    for conversation in kept.recent():
        question, answer = kept.branch(conversation.leaf)
        assert answer.state == "done"
        assert answer.text == "".join(f"{question.text}-{number} " for number in range(200))
    for name in ("left", "right"):
        found = [cache.get(Path(f"/{name}/{n}.gguf"), Stamp(name)) for n in range(0, 200, 20)]
        assert found == [CachedHeader(None, name)] * 10
    database.close()


def test_a_deck_that_opens_leaves_the_answer_that_another_is_writing(tmp_path: Path) -> None:
    path = tmp_path / "deck.db"
    database = Database.open(path, SCHEMAS)
    kept = Conversations(database)
    question = kept.say(kept.create().id, None, "Go on")
    answer = kept.begin_answer(question.conversation, question.id, "model", "engine")
    kept.append(answer.id, "so far", "")
    with pair(_OPEN) as decks:
        decks.turn((path, "left"), (path, "right"))
    (_, seen) = kept.branch(answer.id)
    assert (seen.state, seen.text) == ("writing", "so far")
    database.close()
