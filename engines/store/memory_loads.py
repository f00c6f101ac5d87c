"""What loads took of memory, beside what had been predicted for them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Final, NamedTuple

from modeldeck.engines.store.database import Database, Schema

SCHEMA: Final = Schema(
    "memory_loads",
    (
        """
        CREATE TABLE memory_loads (
            id INTEGER PRIMARY KEY,
            gpu TEXT NOT NULL,
            engine TEXT NOT NULL,
            build TEXT NOT NULL,
            family TEXT NOT NULL,
            placement TEXT NOT NULL,
            model TEXT NOT NULL,
            plan TEXT NOT NULL,
            measured TEXT NOT NULL,
            predicted TEXT NOT NULL,
            UNIQUE (gpu, engine, build, model, plan)
        ) STRICT
        """,
    ),
)

_KEPT_LOADS: Final = 500
"""Over all models; an older one goes."""

Sizes = Mapping[str, int]
"""Bytes by the bill's names for them; one that nobody could measure is not in it."""


class Place(NamedTuple):
    """Where a model was loaded, and by what.

    Attributes:
        gpu: name of the card; empty for the CPU alone.
        engine: adapter name.
        build: of the engine.
    """

    gpu: str
    engine: str
    build: str


class Load(NamedTuple):
    """One model with one set of options, loaded however often; the last time counts.

    Attributes:
        place: where.
        family: architecture of the model.
        placement: what computes.
        model: name and size.
        plan: the options, as text.
        measured: what it took.
        predicted: what the closed form had said.
    """

    place: Place
    family: str
    placement: str
    model: str
    plan: str
    measured: Sizes
    predicted: Sizes


class MemoryLoads:
    """What was measured. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, load: Load) -> None:
        """Keep one load, in place of an older one of the same model, options and build."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO memory_loads"
                " (gpu, engine, build, family, placement, model, plan, measured, predicted)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *load.place,
                    load.family,
                    load.placement,
                    load.model,
                    load.plan,
                    json.dumps(dict(load.measured)),
                    json.dumps(dict(load.predicted)),
                ),
            )
            connection.execute(
                "DELETE FROM memory_loads WHERE id IN"
                " (SELECT id FROM memory_loads ORDER BY id DESC LIMIT -1 OFFSET ?)",
                (_KEPT_LOADS,),
            )

    def of_newest_builds(self) -> list[Load]:
        """The loads by the build that each engine was last seen with on each card, oldest first.

        What another build took says nothing of this one.
        """
        rows = self._database.rows("SELECT * FROM memory_loads ORDER BY id")
        newest = {(row["gpu"], row["engine"]): row["build"] for row in rows}
        loads = (_load(row) for row in rows if newest[row["gpu"], row["engine"]] == row["build"])
        return [load for load in loads if load.measured]


def _load(row: sqlite3.Row) -> Load:
    return Load(
        Place(row["gpu"], row["engine"], row["build"]),
        row["family"],
        row["placement"],
        row["model"],
        row["plan"],
        _sizes(row["measured"]),
        _sizes(row["predicted"]),
    )


def _sizes(text: str) -> Sizes:
    """The sizes as they were kept; none when somebody else wrote there."""
    try:
        sizes: dict[str, object] = dict(json.loads(text))
    except (ValueError, TypeError):
        return {}
    return {name: size for name, size in sizes.items() if type(size) is int}
