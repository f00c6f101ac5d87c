"""Headers already read, kept by path, size and time of change."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modeldeck.engines.store.database import Database, Schema
from modeldeck.engines.types import BlockWeights, HParam, ModelHeader, WeightTable

READER_VERSION = 1
"""Raised whenever the reader finds more or other things in the same file."""

SCHEMA = Schema(
    "headers",
    (
        """
        CREATE TABLE headers (
            path TEXT PRIMARY KEY,
            stamp TEXT NOT NULL,
            header TEXT,
            problem TEXT,
            seen INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a model's files from another: sizes, times, inodes."""

    text: str

    @classmethod
    def of(cls, files: Iterable[tuple[int, int, int]]) -> Stamp:
        """The stamp of files given as (size, mtime_ns, inode)."""
        return cls(f"{READER_VERSION}:" + ";".join(f"{s},{m},{i}" for s, m, i in files))


@dataclass(frozen=True, slots=True)
class CachedHeader:
    """A header, or the problem that reading it met."""

    header: ModelHeader | None
    problem: str | None


def encode(header: ModelHeader) -> str:
    """A header as compact JSON."""
    record = asdict(header)
    record["weights"]["blocks"] = [
        [b.index, b.dense_bytes, b.expert_bytes, b.cuda_padding_bytes]
        for b in header.weights.blocks
    ]
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> ModelHeader:
    """The header that ``encode`` made ``text`` of. Raises ValueError, KeyError, TypeError."""
    record: dict[str, Any] = json.loads(text)
    weights = record.pop("weights")
    blocks = tuple(BlockWeights(*row) for row in weights.pop("blocks"))
    hparams: Mapping[str, HParam] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in record.pop("hparams").items()
    }
    return ModelHeader(**record, hparams=hparams, weights=WeightTable(blocks=blocks, **weights))


class HeaderCache:
    """All cached headers, read with one query when made; what is new is written in one go."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = {
            row["path"]: (row["stamp"], row["header"], row["problem"])
            for row in database.rows("SELECT path, stamp, header, problem FROM headers")
        }
        self._new: dict[str, tuple[str, str | None, str | None]] = {}

    def get(self, path: Path, stamp: Stamp) -> CachedHeader | None:
        """What was found in ``path`` when it had this stamp, or None."""
        row = self._rows.get(str(path))
        if row is None or row[0] != stamp.text:
            return None
        try:
            return CachedHeader(decode(row[1]) if row[1] else None, row[2])
        except (ValueError, KeyError, TypeError):
            return None

    def put(self, path: Path, stamp: Stamp, found: CachedHeader) -> None:
        """Remember what was found; kept for good by ``save``."""
        row = (stamp.text, encode(found.header) if found.header else None, found.problem)
        self._rows[str(path)] = self._new[str(path)] = row

    def save(self) -> None:
        """Write what is new. Raises StoreError."""
        if not self._new:
            return
        new, self._new = self._new, {}
        now = int(time.time())
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO headers VALUES (?, ?, ?, ?, ?)",
                [(path, *row, now) for path, row in new.items() if _is_text(path)],
            )


def _is_text(path: str) -> bool:
    """Whether SQLite can hold the path: file names need not be valid Unicode."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
