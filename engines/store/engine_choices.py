"""Which engine the user wants for which model. Kept by the model's name: a moved file keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modeldeck.engines.store.database import Database, Schema
from modeldeck.engines.text import clean_line

SCHEMA: Final = Schema(
    "engine_choices",
    (
        """
        CREATE TABLE engine_choices (
            model TEXT PRIMARY KEY,
            engine TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
)


class EngineChoices:
    """The user's choices. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[str, str]:
        """Model name to engine name."""
        rows = self._database.rows("SELECT model, engine FROM engine_choices")
        return {row["model"]: row["engine"] for row in rows}

    def choose(self, model: str, engine: str | None) -> None:
        """Want ``engine`` for ``model``; None leaves it to the policy again."""
        with self._database.transaction() as connection:
            if engine is None:
                connection.execute("DELETE FROM engine_choices WHERE model = ?", (model,))
            else:
                connection.execute(
                    "INSERT INTO engine_choices VALUES (?, ?)"
                    " ON CONFLICT (model) DO UPDATE SET engine = excluded.engine",
                    (model, clean_line(engine, 60)),
                )
