"""Decode rates of replies beside what was predicted for them."""

from __future__ import annotations

from typing import Final, NamedTuple

from modeldeck.engines.store.database import Database, Schema

SCHEMA: Final = Schema(
    "speed_residuals",
    (
        """
        CREATE TABLE speed_residuals (
            id INTEGER PRIMARY KEY,
            gpu TEXT NOT NULL,
            engine TEXT NOT NULL,
            family TEXT NOT NULL,
            placement TEXT NOT NULL,
            model TEXT NOT NULL,
            plan TEXT NOT NULL,
            build TEXT NOT NULL,
            measured REAL NOT NULL CHECK (measured > 0),
            predicted REAL NOT NULL CHECK (predicted > 0)
        ) STRICT
        """,
        """
        CREATE INDEX speed_residuals_of
        ON speed_residuals (gpu, engine, family, placement, model, plan, build)
        """,
    ),
)

_KEPT_REPLIES: Final = 15
"""Of one model with one plan and one build; an older one goes."""


class SpeedKey(NamedTuple):
    """What measures must share to say something of each other.

    Attributes:
        gpu: name of the card; empty for the CPU alone.
        engine: adapter name.
        family: types that are decoded alike.
        placement: what computes.
    """

    gpu: str
    engine: str
    family: str
    placement: str


class Run(NamedTuple):
    """What is one measure however many replies it is of.

    Attributes:
        model: name.
        plan: as text.
        build: of the engine.
    """

    model: str
    plan: str
    build: str


class Residual(NamedTuple):
    """The replies of one run together.

    Attributes:
        measured: median of tokens per second.
        predicted: median of what was predicted for the same replies.
        replies: how many.
    """

    measured: float
    predicted: float
    replies: int


class SpeedResiduals:
    """What was measured. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, key: SpeedKey, run: Run, measured: float, predicted: float) -> None:
        """Keep one reply."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO speed_residuals"
                " (gpu, engine, family, placement, model, plan, build, measured, predicted)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, *run, measured, predicted),
            )
            connection.execute(
                "DELETE FROM speed_residuals WHERE id IN (SELECT id FROM speed_residuals"
                " WHERE gpu = ? AND engine = ? AND family = ? AND placement = ?"
                " AND model = ? AND plan = ? AND build = ?"
                " ORDER BY id DESC LIMIT -1 OFFSET ?)",
                (*key, *run, _KEPT_REPLIES),
            )

    def all(self) -> dict[SpeedKey, list[Residual]]:
        """One residual for each run, the latest runs last.

        The median of a run's replies stands for it: a stutter in one counts for nothing.
        """
        from statistics import median  # 4 ms, which a start does without

        rows = self._database.rows("SELECT * FROM speed_residuals ORDER BY id")
        runs: dict[tuple[SpeedKey, Run], list[tuple[float, float]]] = {}
        for row in rows:
            key = SpeedKey(row["gpu"], row["engine"], row["family"], row["placement"])
            run = Run(row["model"], row["plan"], row["build"])
            replies = runs.pop((key, run), [])
            runs[key, run] = [*replies, (row["measured"], row["predicted"])]
        found: dict[SpeedKey, list[Residual]] = {}
        for (key, _), replies in runs.items():
            measured = median(measured for measured, _ in replies)
            predicted = median(predicted for _, predicted in replies)
            one = Residual(measured, predicted, len(replies))
            found[key] = [*found.pop(key, []), one]
        return found
