"""How the user wants a model loaded in an engine. Kept by name and size: a moved file keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modeldeck.engines.store.database import Database, Schema

SCHEMA: Final = Schema(
    "profiles",
    (
        """
        CREATE TABLE profiles (
            model TEXT NOT NULL,
            engine TEXT NOT NULL,
            options TEXT NOT NULL,
            PRIMARY KEY (model, engine)
        ) STRICT, WITHOUT ROWID
        """,
    ),
)

Profiled = Mapping[tuple[str, str], str]
"""Options as text, by a model's identity and an engine's name."""


class Profiles:
    """The kept options. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Profiled:
        """Every one."""
        rows = self._database.rows("SELECT model, engine, options FROM profiles")
        return {(row["model"], row["engine"]): row["options"] for row in rows}

    def keep(self, model: str, engine: str, options: str) -> None:
        """Load ``model`` in ``engine`` like that from now on."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO profiles VALUES (?, ?, ?)", (model, engine, options)
            )

    def forget(self, model: str, engine: str) -> None:
        """Plan ``model`` in ``engine`` anew each time again."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM profiles WHERE model = ? AND engine = ?", (model, engine)
            )
