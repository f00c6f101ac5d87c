"""One SQLite file shared by every deck of a user: private, in WAL mode, with versioned tables."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.paths import private_dir

_BUSY_MS = 5000
_CORRUPT = ("malformed", "not a database", "corrupt")


class StoreError(ModeldeckError):
    """What is kept cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one room.

    Attributes:
        name: whose tables they are.
        scripts: SQL, one script for each version; only ever appended to.
    """

    name: str
    scripts: tuple[str, ...]


class Database:
    """An open database. Usable from several threads; other processes may use the same file.

    Attributes:
        note: one sentence when a damaged file was set aside on opening, else empty.
    """

    def __init__(self, connection: sqlite3.Connection, note: str) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self.note = note

    @classmethod
    def open(cls, path: Path, schemas: Sequence[Schema]) -> Database:
        """Open or make the file at ``path`` and bring every schema up to date.

        A damaged file is set aside beside itself and a new one begun, which ``note`` says.

        Raises:
            StoreError: the file cannot be opened, or is newer than this program.
        """
        try:
            private_dir(path.parent)
            try:
                return cls(_prepared(path, schemas), "")
            except sqlite3.DatabaseError as error:
                if not any(word in str(error) for word in _CORRUPT):
                    raise
                aside = _set_aside(path)
                note = f"The damaged database was set aside as {aside.name}; a new one is begun."
                return cls(_prepared(path, schemas), note)
        except (sqlite3.Error, OSError) as error:
            raise _store_error(path, error) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of a block's changes, or none. Raises StoreError."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise _store_error(None, error) from error

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """The rows of a query. Raises StoreError."""
        with self._lock:
            try:
                return list(self._connection.execute(sql, values))
            except sqlite3.Error as error:
                raise _store_error(None, error) from error

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock:
            self._connection.close()


def _prepared(path: Path, schemas: Sequence[Schema]) -> sqlite3.Connection:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    connection = sqlite3.connect(
        path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_versions"
            " (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT"
        )
        for schema in schemas:
            _migrate(connection, schema)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, schema: Schema) -> None:
    row = connection.execute(
        "SELECT version FROM schema_versions WHERE name = ?", (schema.name,)
    ).fetchone()
    version = row[0] if row else 0
    if version > len(schema.scripts):
        raise StoreError(
            f"The database was written by a newer modeldeck ({schema.name} {version}).",
            "Update modeldeck, or move the database away.",
        )
    for script in schema.scripts[version:]:
        for statement in script.split(";"):
            if statement.strip():
                connection.execute(statement)
    connection.execute(
        "INSERT OR REPLACE INTO schema_versions VALUES (?, ?)", (schema.name, len(schema.scripts))
    )


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()
    return aside


def _store_error(path: Path | None, error: Exception) -> StoreError:
    text = str(error)
    where = f" {path}" if path else ""
    if "locked" in text or "busy" in text:
        return StoreError(
            f"The database{where} is in use by another program.",
            "Close the other deck, or try again in a moment.",
        )
    if "full" in text:
        return StoreError("The disk is full: nothing more can be kept.", "Free some space.")
    return StoreError(
        f"The database{where} cannot be used ({text}).", "Check its directory's permissions."
    )
