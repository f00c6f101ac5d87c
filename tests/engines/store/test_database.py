"""The file in which everything is kept: private, shared, and never a reason to crash."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modeldeck.engines.store.database import Database, Schema, StoreError

NOTES = Schema("notes", ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT) STRICT",))
PLANS = Schema("plans", ("CREATE TABLE plans (id INTEGER PRIMARY KEY) STRICT",))

WRITER = """
import sys
from pathlib import Path
from modeldeck.engines.store.database import Database, Schema
notes = Schema("notes", ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT) STRICT",))
database = Database.open(Path(sys.argv[1]), [notes])
for number in range(int(sys.argv[2])):
    with database.transaction() as connection:
        connection.execute("INSERT INTO notes (text) VALUES (?)", (f"note {number}",))
database.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.db"


def add(database: Database, text: str) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))


def texts(database: Database) -> list[str]:
    return [row["text"] for row in database.rows("SELECT text FROM notes ORDER BY id")]


def damaged_files(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*damaged*"))


def test_what_was_kept_is_there_in_the_next_run(path: Path) -> None:
    first = Database.open(path, [NOTES])
    add(first, "hello")
    first.close()

    again = Database.open(path, [NOTES])

    assert texts(again) == ["hello"]
    assert again.note == ""
    again.close()


def test_nobody_else_on_the_machine_can_read_it(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)

    database = Database.open(path, [NOTES])
    add(database, "secret")

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = list(path.parent.iterdir())
    assert {file.name for file in files} >= {"store.db", "store.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    database.close()


def test_it_is_in_wal_mode_with_foreign_keys(path: Path) -> None:
    database = Database.open(path, [])

    assert database.rows("PRAGMA journal_mode")[0][0] == "wal"
    assert database.rows("PRAGMA synchronous")[0][0] == 1
    assert database.rows("PRAGMA foreign_keys")[0][0] == 1
    database.close()


def test_modules_share_the_file_and_grow_apart(path: Path) -> None:
    first = Database.open(path, [NOTES])
    add(first, "old")
    first.close()
    trigger = """
        CREATE TRIGGER loud AFTER INSERT ON notes BEGIN
            UPDATE notes SET text = upper(text) WHERE id = new.id;
            UPDATE notes SET pinned = 1 WHERE id = new.id;
        END
    """
    grown = Schema(
        "notes", (*NOTES.scripts, f"ALTER TABLE notes ADD pinned INTEGER;{trigger};", "SELECT ';'")
    )

    database = Database.open(path, [PLANS, grown])
    add(database, "new")

    assert texts(database) == ["old", "NEW"]
    assert [row["pinned"] for row in database.rows("SELECT pinned FROM notes")] == [None, 1]
    assert database.rows("SELECT count(*) FROM plans")[0][0] == 0
    database.close()
    Database.open(path, [grown]).close()


def test_a_script_that_fails_leaves_everything_as_it_was(path: Path) -> None:
    Database.open(path, [NOTES]).close()
    broken = Schema(
        "notes", (*NOTES.scripts, "CREATE TABLE half (id INTEGER); CREATE TABLE notes (id INTEGER)")
    )

    with pytest.raises(StoreError):
        Database.open(path, [broken])

    database = Database.open(path, [NOTES])
    assert not database.rows("SELECT 1 FROM sqlite_master WHERE name = 'half'")
    database.close()


def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    Database.open(path, [Schema("notes", (*NOTES.scripts, "SELECT 1"))]).close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="newer") as caught:
        Database.open(path, [NOTES])

    assert "Update modeldeck" in caught.value.next_step
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b"this is no database " * 300, b"SQLite format 3\0" + b"\xff" * 8000],
    ids=["text", "broken header"],
)
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)

    database = Database.open(path, [NOTES])
    add(database, "goes on")

    (aside,) = damaged_files(path)
    assert aside.read_bytes() == content
    assert str(aside) in database.note
    assert texts(database) == ["goes on"]
    database.close()
    path.write_bytes(content)
    Database.open(path, [NOTES]).close()
    assert len(damaged_files(path)) == 2, "an earlier one is not overwritten"


def test_damage_met_later_is_an_error_now_and_a_new_file_the_next_time(path: Path) -> None:
    big = Database.open(path, [NOTES])
    with big.transaction() as connection:
        rows = [("x" * 3000,) for _ in range(200)]
        connection.executemany("INSERT INTO notes (text) VALUES (?)", rows)
    big.close()
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xa5" * (len(content) - 4096 * 3)
    path.write_bytes(content)

    database = Database.open(path, [NOTES])
    with pytest.raises(StoreError, match="damaged") as caught:
        texts(database)
    with pytest.raises(StoreError, match="closed"):
        texts(database)

    assert "again" in caught.value.next_step
    new = Database.open(path, [NOTES])
    assert texts(new) == []
    assert damaged_files(path)
    new.close()


def test_damage_never_sets_aside_a_file_that_somebody_else_has_begun(path: Path) -> None:
    database = Database.open(path, [NOTES])
    for file in list(path.parent.iterdir()):
        file.rename(file.with_name(f"moved-{file.name}"))
    Database.open(path, [NOTES]).close()

    def fail() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO notes (text) VALUES ('x')")
            corrupt = sqlite3.DatabaseError("database disk image is malformed")
            corrupt.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise corrupt

    with pytest.raises(StoreError, match="damaged"):
        fail()

    assert not damaged_files(path)
    assert path.exists()


def test_a_change_is_kept_whole_or_not_at_all(path: Path) -> None:
    database = Database.open(path, [NOTES])

    def fail() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO notes (text) VALUES ('half')")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert texts(database) == []
    database.close()


def test_many_threads_write_at_once(path: Path) -> None:
    database = Database.open(path, [NOTES])

    with ThreadPoolExecutor(8) as pool:
        for written in [pool.submit(add, database, str(number)) for number in range(200)]:
            written.result()

    assert sorted(texts(database), key=int) == [str(number) for number in range(200)]
    database.close()


def test_two_processes_make_it_and_write_at_once(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path), "100"]
    writers = [subprocess.Popen(command) for _ in range(2)]

    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    database = Database.open(path, [NOTES])
    assert len(texts(database)) == 200
    database.close()


def test_another_program_that_holds_it_is_named_as_the_cause(path: Path) -> None:
    Database.open(path, [NOTES]).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    database = Database.open(path, [NOTES], busy_seconds=0.05)

    with pytest.raises(StoreError, match="in use"):
        add(database, "x")
    assert texts(database) == [], "reading goes on"

    other.execute("ROLLBACK")
    other.close()
    add(database, "x")
    assert texts(database) == ["x"]
    database.close()


def test_a_deck_that_is_still_opening_it_is_waited_for(path: Path) -> None:
    path.parent.mkdir()
    descriptor = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    with pytest.raises(StoreError, match="in use"):
        Database.open(path, [NOTES], busy_seconds=0.05)

    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(Database.open, path, [NOTES], busy_seconds=60)
        os.close(descriptor)
        opening.result(timeout=60).close()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="cannot be used") as caught:
        Database.open(tmp_path / "file" / "store.db", [NOTES])

    assert caught.value.next_step


def test_closing_twice_is_fine_and_use_after_it_is_said(path: Path) -> None:
    database = Database.open(path, [NOTES])
    database.close()
    database.close()

    with pytest.raises(StoreError, match="closed"):
        add(database, "x")


def test_without_a_file_it_lasts_as_long_as_the_object() -> None:
    database = Database.in_memory([NOTES])
    add(database, "x")

    assert texts(database) == ["x"]
    database.close()
