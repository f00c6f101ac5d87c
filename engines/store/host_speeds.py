"""How fast each machine's memory is: measured once, kept by what the machine is made of."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.store.database import Database, Schema

SCHEMA: Final = Schema(
    "host_speeds",
    (
        """
        CREATE TABLE host_speeds (
            machine TEXT PRIMARY KEY,
            bytes_per_second REAL NOT NULL CHECK (bytes_per_second > 0)
        ) STRICT, WITHOUT ROWID
        """,
    ),
)


class HostSpeeds:
    """What was measured. Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, machine: str) -> float | None:
        """Bytes per second of that machine's memory; None when it was not measured."""
        rows = self._database.rows(
            "SELECT bytes_per_second FROM host_speeds WHERE machine = ?", (machine,)
        )
        return next((float(row["bytes_per_second"]) for row in rows), None)

    def keep(self, machine: str, bytes_per_second: float) -> None:
        """Keep what was measured; a later measure takes the place of an earlier one."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO host_speeds VALUES (?, ?)"
                " ON CONFLICT (machine) DO UPDATE SET bytes_per_second = excluded.bytes_per_second",
                (machine, bytes_per_second),
            )
