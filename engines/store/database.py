"""One SQLite file that several threads, and several processes, may use at once.

A module that keeps something describes its tables as a ``Schema``; ``Database.open`` brings all
of them up to date. Nothing here knows what is stored.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.folder_lock import one_at_a_time
from modeldeck.engines.paths import private_dir

BUSY_SECONDS: Final = 5.0
"""How long to wait for another process before giving up."""

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_COMPANIONS: Final = ("", "-wal", "-shm", "-journal")


class StoreError(ModeldeckError):
    """What is kept cannot be read or written: in use, damaged, full, or from a newer modeldeck."""


class Schema(NamedTuple):
    """The tables of one module, as the ordered scripts that make them.

    Attributes:
        name: whose tables they are.
        scripts: SQL; script n brings version n to n + 1. Only ever appended to.
    """

    name: str
    scripts: tuple[str, ...]


def is_text(path: str) -> bool:
    """Whether SQLite can hold ``path``: file names need not be valid Unicode."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


class Database:
    """An open database. Threads take turns; other processes may use the same file.

    Attributes:
        path: the file, or None for one in memory.
        note: one sentence when a damaged file was set aside on opening, else empty.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None, note: str = "") -> None:
        self._connection: sqlite3.Connection | None = connection
        self._lock = threading.RLock()
        self._identity = _identity(path) if path else None
        self.path = path
        self.note = note

    @classmethod
    def open(
        cls, path: Path, schemas: Sequence[Schema], *, busy_seconds: float = BUSY_SECONDS
    ) -> Database:
        """Open ``path``, made when absent (0600, in a 0700 directory), with all ``schemas``.

        A damaged file is renamed, a new one begun, and ``note`` says so.

        Raises:
            StoreError: in use by another program for longer than ``busy_seconds``, written by a
                newer modeldeck, or the place cannot be written.
        """
        path = path.absolute()
        try:
            # SQLite's own locks cannot cover the replacing of a damaged file.
            with one_at_a_time(private_dir(path.parent), busy_seconds):
                try:
                    return cls(_open(path, schemas, busy_seconds), path)
                except sqlite3.DatabaseError as error:
                    if _code(error) not in _DAMAGED:
                        raise
                aside = _set_aside(path)
                note = f"The database was damaged; it is kept as {aside} and a new one was begun."
                return cls(_open(path, schemas, busy_seconds), path, note)
        except (OSError, sqlite3.Error) as error:
            raise _told(error, path) from error

    @classmethod
    def in_memory(cls, schemas: Sequence[Schema]) -> Database:
        """A database that lasts as long as the object: for when no file can be had."""
        return cls(_prepared(_connect(":memory:", 0), schemas, Path(":memory:")), None)

    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """All of a block's changes are kept when it ends, or none if it raises.

        Raises:
            StoreError: closed, damaged, full, or in use for too long.
        """
        with self._connected() as connection, _committed(connection):
            yield connection

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """The rows of one query.

        Raises:
            StoreError: closed, damaged, or in use for too long.
        """
        with self._connected() as connection:
            return connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @contextlib.contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                raise StoreError("The database is closed.", "Start modeldeck again.")
            try:
                yield self._connection
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
                raise
            except sqlite3.DatabaseError as error:
                raise self._failed(error) from error

    def _failed(self, error: sqlite3.DatabaseError) -> StoreError:
        path, mine = self.path, self._identity
        if path is None or _code(error) not in _DAMAGED:
            return _told(error, path)
        self.close()
        with contextlib.suppress(OSError), one_at_a_time(path.parent, BUSY_SECONDS):
            if _identity(path) == mine:
                _set_aside(path)
        return StoreError(
            f"The database {path} is damaged; it was set aside.",
            "Start modeldeck again: it begins a new one.",
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file ``path`` is now: another process may have put a new one there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _open(path: Path, schemas: Sequence[Schema], busy_seconds: float) -> sqlite3.Connection:
    """A connection to a file that nobody else can read. SQLite gives its mode to the WAL too."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    return _prepared(_connect(str(path), busy_seconds), schemas, path)


def _connect(name: str, busy_seconds: float) -> sqlite3.Connection:
    # Threads take turns by our lock; transactions are begun by us, never implicitly.
    connection = sqlite3.connect(
        name, timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection


def _prepared(
    connection: sqlite3.Connection, schemas: Sequence[Schema], path: Path
) -> sqlite3.Connection:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        if _versions(connection) != {schema.name: len(schema.scripts) for schema in schemas}:
            with _committed(connection):
                _migrate(connection, schemas, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _versions(connection: sqlite3.Connection) -> dict[str, int]:
    known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_versions'"
    if connection.execute(known).fetchone() is None:
        return {}
    return dict(map(tuple, connection.execute("SELECT name, version FROM schema_versions")))


def _migrate(connection: sqlite3.Connection, schemas: Sequence[Schema], path: Path) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_versions"
        " (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT"
    )
    versions = _versions(connection)
    for schema in schemas:
        version = versions.get(schema.name, 0)
        if version > len(schema.scripts):
            raise StoreError(
                f"The database {path} was written by a newer modeldeck.",
                "Update modeldeck, or move the file away to begin a new one.",
            )
        for script in schema.scripts[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_versions VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version",
            (schema.name, len(schema.scripts)),
        )


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: ``executescript`` would commit before it starts."""
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def _committed(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors (a full disk) have rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _set_aside(path: Path) -> Path:
    """Rename the database and the files that belong to it; returns its new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in _COMPANIONS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def _code(error: sqlite3.Error) -> int:
    """The primary result code: extended ones keep it in the low byte."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _told(error: Exception, path: Path | None) -> StoreError:
    name = path or "in memory"
    if isinstance(error, BlockingIOError) or (
        isinstance(error, sqlite3.Error) and _code(error) in _IN_USE
    ):
        return StoreError(
            f"The database {name} is in use by another program.",
            "Close the other program, then try again.",
        )
    if isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_FULL:
        return StoreError(
            f"There is no room left for the database {name}.", "Free some disk space."
        )
    return StoreError(
        f"The database {name} cannot be used ({error}).",
        "Check that its folder is on a working disk and can be written by you.",
    )
