"""SHA-256 of files already read through once, so that large weights are read once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.store.database import Database, Schema

SCHEMA: Final = Schema(
    "digests",
    (
        """
        CREATE TABLE digests (
            path BLOB PRIMARY KEY,
            size_bytes INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            device INTEGER NOT NULL,
            inode INTEGER NOT NULL,
            sha256 TEXT NOT NULL,
            used REAL NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
)

MOST: Final = 20_000
"""Digests kept; those not used for longest go."""


class FileState(NamedTuple):
    """What tells a file from a later one under the same path."""

    path: Path
    size_bytes: int
    mtime_ns: int
    device: int
    inode: int


class Digests:
    """All digests kept. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, file: FileState) -> str | None:
        """The digest of the file in exactly this state, in hex; None when it is not known."""
        rows = self._database.rows(
            "SELECT sha256 FROM digests WHERE path = ? AND size_bytes = ? AND mtime_ns = ?"
            " AND device = ? AND inode = ?",
            (os.fsencode(file.path), *file[1:4], _signed(file.inode)),
        )
        return next((str(row["sha256"]) for row in rows), None)

    def keep(self, file: FileState, sha256: str) -> None:
        """Keep the digest of a file in this state, in place of what was known of the path."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?)",
                (os.fsencode(file.path), *file[1:4], _signed(file.inode), sha256, time.time()),
            )
            connection.execute(
                "DELETE FROM digests WHERE path NOT IN"
                " (SELECT path FROM digests ORDER BY used DESC LIMIT ?)",
                (MOST,),
            )


def _signed(inode: int) -> int:
    """An inode as SQLite can hold it: some file systems use all 64 bits."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode
