"""What servers said is kept by address and state, within bounds, and only as it was said."""

from __future__ import annotations

from pathlib import Path

from modeldeck.engines.store.database import Database
from modeldeck.engines.store.remote_answers import MOST_ANSWER_BYTES, SCHEMA, RemoteAnswers

URL = "https://user:secret@host/m.gguf?token=secret"


def opened(path: Path, most_bytes: int = 1 << 20) -> tuple[Database, RemoteAnswers]:
    database = Database.open(path / "remote.db", (SCHEMA,))
    return database, RemoteAnswers(database, most_bytes)


def test_the_last_answer_is_kept_with_its_state(tmp_path: Path) -> None:
    database, answers = opened(tmp_path)
    answers.keep(URL, '"1"', b"one")
    answers.keep(URL, '"2"', b"two")
    database.close()
    database, answers = opened(tmp_path)
    kept = answers.of(URL)
    assert kept is not None
    assert (kept.state, kept.answer) == ('"2"', b"two")
    assert answers.of(URL + "x") is None
    database.close()


def test_no_address_is_on_the_disk(tmp_path: Path) -> None:
    database, answers = opened(tmp_path)
    answers.keep(URL, '"1"', b"one")
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    database.close()
    assert (tmp_path / "remote.db").stat().st_mode & 0o077 == 0


def test_what_was_not_seen_for_longest_makes_room(tmp_path: Path) -> None:
    database, answers = opened(tmp_path, most_bytes=10_000)
    for number in range(20):
        answers.keep(f"{URL}{number}", "", bytes(1_000))
        answers.still_true(f"{URL}0")
    held = {number for number in range(20) if answers.of(f"{URL}{number}")}
    assert held == {0, *range(11, 20)}
    database.close()


def test_one_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    database, answers = opened(tmp_path, most_bytes=1 << 30)
    answers.keep(URL, "", bytes(MOST_ANSWER_BYTES + 1))
    assert answers.of(URL) is None
    database.close()


def test_one_that_is_no_longer_what_was_said_is_as_good_as_none(tmp_path: Path) -> None:
    database, answers = opened(tmp_path)
    answers.keep(URL, '"1"', b"one")
    with database.transaction() as connection:
        connection.execute("UPDATE remote_answers SET answer = ?", (b"two",))
    assert answers.of(URL) is None
    database.close()
