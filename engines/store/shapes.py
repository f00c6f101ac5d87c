"""What verdicts need of models, kept by path and by the state of the files it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from modeldeck.engines.store.database import Database, Schema

_AT_ONCE: Final = 500

SCHEMA: Final = Schema(
    "shapes",
    (
        """
        CREATE TABLE shapes (
            path TEXT PRIMARY KEY,
            stamp TEXT NOT NULL,
            shape TEXT NOT NULL,
            tables BLOB NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
)


class KeptShape(NamedTuple):
    """A shape as it is written, and what it was made from."""

    stamp: str
    shape: str
    tables: bytes


class ShapeStore:
    """Kept shapes. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, paths: Iterable[str]) -> Iterator[tuple[str, KeptShape]]:
        """Path and shape, for those of ``paths`` that have one."""
        remaining = iter(paths)
        while asked := tuple(islice(remaining, _AT_ONCE)):
            marks = ",".join("?" * len(asked))
            query = f"SELECT * FROM shapes WHERE path IN ({marks})"  # noqa: S608
            for path, *kept in self._database.rows(query, asked):
                yield path, KeptShape(*kept)

    def keep(self, shapes: Mapping[str, KeptShape]) -> None:
        """Write shapes by path, and forget those of models whose headers are forgotten."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO shapes VALUES (?, ?, ?, ?)",
                [(path, *kept) for path, kept in shapes.items()],
            )
            connection.execute("DELETE FROM shapes WHERE path NOT IN (SELECT path FROM headers)")
