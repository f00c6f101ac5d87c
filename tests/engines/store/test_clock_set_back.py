"""The clock of the machine is set back while the deck is open: nothing is lost or out of order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.store.conversation_list import ConversationList
from modeldeck.engines.store.conversations import Conversations, Outcome
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import CachedHeader, HeaderCache, Stamp
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.store.stream_writer import StreamWriter

YEAR_SECONDS = 365 * 86_400


class Clock:
    """The machine's clock, as far as the program can see it."""

    def __init__(self) -> None:
        self.offset_seconds = 0.0
        self._real = time.time

    def __call__(self) -> float:
        return self._real() + self.offset_seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "deck.db", SCHEMAS)
    yield database
    database.close()


def test_what_was_said_last_still_comes_first(database: Database, clock: Clock) -> None:
    kept, listed = Conversations(database), ConversationList(database)
    first = kept.say(kept.create().id, None, "before")
    clock.offset_seconds = -YEAR_SECONDS
    second = kept.say(kept.create().id, None, "after")
    assert [c.title for c in kept.recent()] == ["after", "before"]
    assert [c.title for c in listed.recent()] == ["after", "before"]
    kept.say(first.conversation, first.id, "before, again")
    assert [c.id for c in kept.recent()] == [first.conversation, second.conversation]
    assert [c.id for c in listed.search("before")] == [first.conversation]


def test_an_answer_is_kept_whole(database: Database, clock: Clock) -> None:
    kept = Conversations(database)
    question = kept.say(kept.create().id, None, "Go on")
    answer = kept.begin_answer(question.conversation, question.id, "model", "engine")
    writer = StreamWriter(kept, answer.id)
    for number in range(20):
        writer.write(f"{number} ", "")
        clock.offset_seconds -= 3600
    writer.close()
    kept.finish(answer.id, Outcome("done"))
    (_, read) = kept.branch(answer.id)
    assert (read.state, read.text) == ("done", "".join(f"{number} " for number in range(20)))


@pytest.mark.parametrize("years", [-60, -1, 1])
def test_headers_already_read_are_still_known(database: Database, clock: Clock, years: int) -> None:
    path, stamp, found = Path("/m.gguf"), Stamp("s"), CachedHeader(None, "a problem")
    cache = HeaderCache(database)
    cache.put(path, stamp, found)
    cache.save()
    clock.offset_seconds = years * YEAR_SECONDS
    later = HeaderCache(database)
    assert later.get(path, stamp) == found
    later.save()
    assert HeaderCache(database).get(path, stamp) == found
