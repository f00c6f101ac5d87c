"""Conversations survive: what was said is there next time, whatever happened to the deck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.chat import Sampling, Timings, Usage
from modeldeck.engines.store.conversations import (
    Conversation,
    Conversations,
    Message,
    Outcome,
)
from modeldeck.engines.store.database import Database, StoreError
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.store.stream_writer import StreamWriter

OPEN = """
import sys, time
from pathlib import Path
from modeldeck.engines.store.conversations import Conversations, Outcome
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.stream_writer import StreamWriter
conversations = Conversations(Database.open(Path(sys.argv[1]), SCHEMAS))
chat = conversations.create()
"""

STREAM_UNTIL_KILLED = (
    OPEN
    + """
answer = conversations.begin_answer(chat.id, None, "demo", "llama_server")
writer = StreamWriter(conversations, answer.id)
number = 0
while True:
    writer.write(f"{number} ", f"r{number} ")
    print(answer.id, number, time.monotonic_ns(), flush=True)
    number += 1
    time.sleep(0.001)
"""
)

HOLD_AN_ANSWER = (
    OPEN
    + """
answer = conversations.begin_answer(chat.id, None, "demo", "llama_server")
conversations.append(answer.id, "half a sen", "")
print(answer.id, flush=True)
sys.stdin.read()
"""
)

WRITE_AND_FINISH = (
    OPEN
    + """
answer = conversations.begin_answer(chat.id, None, "demo", "llama_server")
for number in range(300):
    conversations.append(answer.id, f"{sys.argv[2]}{number} ", "")
conversations.finish(answer.id, Outcome("done"))
print(answer.id, flush=True)
"""
)


def deck(script: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "modeldeck.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database.open(path, SCHEMAS)
    yield database
    database.close()


@pytest.fixture
def conversations(database: Database) -> Conversations:
    return Conversations(database)


def turns(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


def test_a_conversation_is_there_in_the_next_run(path: Path) -> None:
    first = Database.open(path, SCHEMAS)
    conversations = Conversations(first)
    chat = conversations.create("Be brief.", Sampling(temperature=0.2, seed=7))
    question = conversations.say(chat.id, None, "Why is the sky\nblue?")
    answer = conversations.begin_answer(chat.id, question.id, "demo", "llama_server")
    conversations.append(answer.id, "", "They ask about Rayleigh")
    conversations.append(answer.id, "Air scatters", "")
    conversations.append(answer.id, " blue light.", "")
    usage = Usage(12, 9, 4, Timings("engine", 8, 4, 10, 9, 90))
    conversations.finish(answer.id, Outcome("done", "", usage, 123))
    first.close()

    second = Database.open(path, SCHEMAS)
    conversations = Conversations(second)
    (found,) = conversations.recent()
    assert found.title == "Why is the sky blue?"
    assert found.system_prompt == "Be brief."
    assert found.sampling == Sampling(temperature=0.2, seed=7)
    assert found.leaf == answer.id
    asked, answered = conversations.branch(found.leaf)
    assert asked == question
    assert answered == Message(
        id=answer.id,
        conversation=chat.id,
        parent=question.id,
        role="assistant",
        text="Air scatters blue light.",
        reasoning="They ask about Rayleigh",
        model="demo",
        engine="llama_server",
        state="done",
        completion_tokens=9,
        prompt_tokens=12,
    )
    (row,) = second.rows("SELECT * FROM messages WHERE id = ?", (answer.id,))
    assert (row["prompt_tokens"], row["cached_tokens"], row["first_token_ns"]) == (12, 4, 123)
    assert (row["prefill_tokens"], row["prefill_ns"]) == (8, 10)
    assert (row["decoded_tokens"], row["decode_ns"], row["timing_source"]) == (9, 90, "engine")
    assert row["started"] <= row["ended"]
    second.close()


def test_an_answer_can_be_read_while_it_is_written(conversations: Conversations) -> None:
    chat = conversations.create()
    answer = conversations.begin_answer(chat.id, None, "demo", "llama_server")
    conversations.append(answer.id, "one ", "a")
    conversations.append(answer.id, "two ", "b")
    (message,) = conversations.branch(answer.id)
    assert (message.text, message.reasoning, message.state) == ("one two ", "ab", "writing")


def test_asking_again_begins_a_branch_and_keeps_the_old_one(conversations: Conversations) -> None:
    chat = conversations.create()
    question = conversations.say(chat.id, None, "2 + 2?")
    wrong = conversations.begin_answer(chat.id, question.id, "small", "llama_server")
    conversations.append(wrong.id, "5", "")
    conversations.finish(wrong.id, Outcome("done"))
    conversations.follow(chat.id, question.id)
    right = conversations.begin_answer(chat.id, question.id, "large", "llama_server")
    conversations.append(right.id, "4", "")
    conversations.finish(right.id, Outcome("done"))

    assert conversations.get(chat.id).leaf == right.id
    assert turns(conversations.branch(right.id)) == [("user", "2 + 2?"), ("assistant", "4")]
    assert turns(conversations.branch(wrong.id)) == [("user", "2 + 2?"), ("assistant", "5")]
    assert conversations.branch(None) == ()


def test_settings_of_a_conversation_can_change(conversations: Conversations) -> None:
    chat = conversations.create()
    changed = Conversation(chat.id, "", 0, "Rhyme.", Sampling(top_k=3))
    conversations.configure(changed)
    found = conversations.get(chat.id)
    assert (found.system_prompt, found.sampling) == ("Rhyme.", Sampling(top_k=3))


def test_sampling_of_another_version_is_read_as_far_as_it_is_known(
    database: Database, conversations: Conversations
) -> None:
    chat = conversations.create()
    for kept, expected in (
        ('{"temperature": 0.5, "mirostat": 2}', Sampling(temperature=0.5)),
        ("[1]", Sampling()),
        ("no json", Sampling()),
    ):
        with database.transaction() as connection:
            connection.execute("UPDATE conversations SET sampling = ?", (kept,))
        assert conversations.get(chat.id).sampling == expected


def test_the_newest_conversations_come_first(conversations: Conversations) -> None:
    chats = [conversations.create() for _ in range(5)]
    found = conversations.recent(3)
    assert [chat.id for chat in found] == [chat.id for chat in reversed(chats[2:])]


def test_a_long_conversation_is_read_and_dropped_whole(
    database: Database, conversations: Conversations
) -> None:
    chat, other = conversations.create(), conversations.create()
    kept = conversations.say(other.id, None, "stay")
    with database.transaction() as connection:
        connection.executemany(
            "INSERT INTO messages (conversation, parent, role, text, reasoning, model, engine,"
            " state, error, writer, started) VALUES (?, ?, 'user', ?, '', '', '', 'done', '', '',"
            " 0)",
            [(chat.id, kept.id + n if n else None, str(n)) for n in range(3000)],
        )
    branch = conversations.branch(kept.id + 3000)
    assert [message.text for message in branch] == [str(n) for n in range(3000)]

    conversations.drop(chat.id)

    assert conversations.branch(kept.id + 3000) == ()
    assert conversations.recent() == (conversations.get(other.id),)
    assert turns(conversations.branch(kept.id)) == [("user", "stay")]
    with pytest.raises(StoreError):
        conversations.get(chat.id)


def test_a_conversation_dropped_by_another_deck_is_said_to_be_gone(
    conversations: Conversations,
) -> None:
    chat = conversations.create()
    answer = conversations.begin_answer(chat.id, None, "demo", "llama_server")
    conversations.drop(chat.id)
    for act in (
        lambda: conversations.append(answer.id, "late", ""),
        lambda: conversations.say(chat.id, None, "hello?"),
    ):
        with pytest.raises(StoreError, match="gone"):
            act()
    conversations.finish(answer.id, Outcome("done"))


def test_text_that_sqlite_cannot_hold_is_kept_as_far_as_it_can_be(
    conversations: Conversations,
) -> None:
    chat = conversations.create("\udcff system")
    conversations.say(chat.id, None, "a\0b\udc80c\x1b[31m")
    found = conversations.get(chat.id)
    assert turns(conversations.branch(found.leaf)) == [("user", "abc[31m")]
    assert (found.title, found.system_prompt) == ("abc[31m", " system")


# The stream writer.


class Watched:
    """Keeps pieces, and says when that failed."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self.failed = threading.Event()

    def append(self, message_id: int, text: str, reasoning: str) -> None:
        try:
            self._conversations.append(message_id, text, reasoning)
        except StoreError:
            self.failed.set()
            raise


def test_pieces_are_gathered_and_all_kept_at_the_end(
    database: Database, conversations: Conversations
) -> None:
    chat = conversations.create()
    answer = conversations.begin_answer(chat.id, None, "demo", "llama_server")
    writer = StreamWriter(conversations, answer.id, flush_seconds=3600)
    for number in range(1000):
        writer.write(f"{number} ", "r")
    assert database.rows("SELECT 1 FROM chunks") == []
    writer.close()
    writer.close()
    assert len(database.rows("SELECT 1 FROM chunks")) == 1
    conversations.finish(answer.id, Outcome("stopped"))
    assert database.rows("SELECT 1 FROM chunks") == []
    (message,) = conversations.branch(answer.id)
    assert message.text == "".join(f"{number} " for number in range(1000))
    assert message.reasoning == "r" * 1000
    assert (message.state, writer.problem) == ("stopped", None)


def test_a_full_disk_loses_nothing_that_was_kept_and_keeps_the_rest_when_it_can(
    database: Database, conversations: Conversations
) -> None:
    chat = conversations.create()
    answer = conversations.begin_answer(chat.id, None, "demo", "llama_server")
    conversations.append(answer.id, "kept ", "")

    def limit_pages(count: int) -> None:
        database.rows(f"PRAGMA max_page_count = {count}")

    (pages,) = database.rows("PRAGMA page_count")
    limit_pages(pages[0])
    with pytest.raises(StoreError, match="full"):
        conversations.append(answer.id, "x" * 100_000, "")
    failing = Watched(conversations)
    writer = StreamWriter(failing, answer.id, flush_seconds=0.001)
    writer.write("y" * 100_000, "")
    assert failing.failed.wait(60)
    assert conversations.branch(answer.id)[0].text == "kept "
    limit_pages(1_000_000)
    writer.write("z", "")
    writer.close()
    assert writer.problem is None
    assert conversations.branch(answer.id)[0].text == "kept " + "y" * 100_000 + "z"


# Other processes.


def test_a_killed_deck_loses_at_most_a_quarter_second(path: Path) -> None:
    process = deck(STREAM_UNTIL_KILLED, path)
    lines = [line_of(process) for _ in range(700)]
    process.kill()
    rest, _ = process.communicate(timeout=30)
    lines += [line for line in rest.splitlines() if line.count(" ") == 2]
    written = [tuple(map(int, line.split())) for line in lines[:-1]]
    answer, last, killed_ns = written[-1]

    conversations = Conversations(database := Database.open(path, SCHEMAS))

    (message,) = conversations.branch(answer)
    kept = [int(word) for word in message.text.split()]
    assert kept == list(range(len(kept)))
    assert message.reasoning == "".join(f"r{number} " for number in kept)
    due = [number for _, number, at_ns in written if at_ns <= killed_ns - 250_000_000]
    assert len(due) > 100
    assert len(kept) > due[-1]
    assert len(kept) <= last + 2
    assert message.state == "stopped"
    assert message.error
    assert database.rows("SELECT 1 FROM chunks") == []
    database.close()


def test_the_answer_of_another_live_deck_is_left_alone(path: Path) -> None:
    other = deck(HOLD_AN_ANSWER, path)
    answer = int(line_of(other))
    database = Database.open(path, SCHEMAS)
    (message,) = Conversations(database).branch(answer)
    assert (message.text, message.state) == ("half a sen", "writing")

    other.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has reaped it
    (message,) = Conversations(database).branch(answer)
    assert (message.text, message.state) == ("half a sen", "stopped")
    other.communicate(timeout=30)
    database.close()


def test_a_later_process_of_the_same_number_is_not_the_writer(
    database: Database, conversations: Conversations
) -> None:
    chat = conversations.create()
    answer = conversations.begin_answer(chat.id, None, "demo", "llama_server")
    Conversations(database)
    assert conversations.branch(answer.id)[0].state == "writing"  # this process still runs
    for mark in (f"{os.getpid()}:1:boot", "", "nobody", f"{2**70}:1:boot"):
        with database.transaction() as connection:
            connection.execute("UPDATE messages SET state = 'writing', writer = ?", (mark,))
        Conversations(database)
        assert conversations.branch(answer.id)[0].state == "stopped"


def test_two_decks_write_to_the_same_file_at_once(path: Path) -> None:
    decks = [deck(WRITE_AND_FINISH, path, letter) for letter in "ab"]
    answers = [int(process.communicate(timeout=120)[0]) for process in decks]
    database = Database.open(path, SCHEMAS)
    conversations = Conversations(database)
    for answer, letter in zip(answers, "ab", strict=True):
        (message,) = conversations.branch(answer)
        assert message.text == "".join(f"{letter}{number} " for number in range(300))
        assert message.state == "done"
    database.close()
