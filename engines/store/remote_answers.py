"""What other machines said of models: kept by address and state, so that it is not asked twice.

Addresses are kept as digests: one may have a token in it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, NamedTuple

from modeldeck.engines.paths import cache_dir
from modeldeck.engines.store.database import Database, Schema, StoreError

SCHEMA: Final = Schema(
    "remote_answers",
    (
        """
        CREATE TABLE remote_answers (
            address TEXT PRIMARY KEY,
            state TEXT NOT NULL,
            answer BLOB NOT NULL,
            digest TEXT NOT NULL,
            seen REAL NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
)

MOST_BYTES: Final = 64 << 20
"""Of all answers together; those not seen for longest make room."""

MOST_ANSWER_BYTES: Final = 4 << 20
"""Of one; a larger one is asked for again each time."""


class KeptAnswer(NamedTuple):
    """What was said.

    Attributes:
        state: told this answer from later ones: an etag, a digest; empty where nothing did.
        answer: the bytes.
        seen: when it was last true, in seconds since 1970.
    """

    state: str
    answer: bytes
    seen: float


class RemoteAnswers:
    """All answers kept. Every method may raise StoreError."""

    def __init__(self, database: Database, most_bytes: int = MOST_BYTES) -> None:
        self._database = database
        self._most_bytes = most_bytes

    def of(self, address: str) -> KeptAnswer | None:
        """What was last said there; None too where it is no longer what was kept."""
        query = "SELECT state, answer, seen, digest FROM remote_answers WHERE address = ?"
        for state, answer, seen, digest in self._database.rows(query, (_digest(address),)):
            if hashlib.sha256(answer).hexdigest() == digest:
                return KeptAnswer(state, answer, seen)
        return None

    def keep(self, address: str, state: str, answer: bytes) -> None:
        """Keep what was said now in place of what was said before."""
        if len(answer) > MOST_ANSWER_BYTES:
            return
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO remote_answers VALUES (?, ?, ?, ?, ?)",
                (
                    _digest(address),
                    state,
                    answer,
                    hashlib.sha256(answer).hexdigest(),
                    time.time(),
                ),
            )
            connection.execute(
                """
                DELETE FROM remote_answers WHERE address IN (
                    SELECT address FROM (
                        SELECT
                            address,
                            sum(length(answer)) OVER (ORDER BY seen DESC, address) AS held
                        FROM remote_answers
                    ) WHERE held > ?
                )
                """,
                (self._most_bytes,),
            )

    def still_true(self, address: str) -> None:
        """Note that what is kept was said again now."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE remote_answers SET seen = ? WHERE address = ?",
                (time.time(), _digest(address)),
            )


@contextmanager
def kept_answers() -> Generator[RemoteAnswers | None]:
    """This user's answers; nothing where they can neither be read nor kept."""
    try:
        database = Database.open(cache_dir() / "remote.db", (SCHEMA,))
    except StoreError:
        yield None
        return
    try:
        yield RemoteAnswers(database)
    finally:
        database.close()


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()
