"""Headers already read, kept by path, size, time of change and inode."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from modeldeck.engines.store.database import Database, Schema, StoreError, is_text
from modeldeck.engines.types import BlockWeights, HParam, ModelFormat, ModelHeader, WeightTable

READER_VERSION: Final = 4
"""Raised whenever the reader finds more in the same file, or what it finds is written otherwise."""

_DAY_SECONDS: Final = 86_400
_STILL_SEEN_SECONDS: Final = 7 * _DAY_SECONDS
_FORGOTTEN_SECONDS: Final = 180 * _DAY_SECONDS

SCHEMA: Final = Schema(
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


class Stamp(NamedTuple):
    """What tells one state of a model's files from another: sizes, times, inodes."""

    text: str

    @classmethod
    def of(cls, files: Iterable[tuple[int, int, int]]) -> Stamp:
        """The stamp of files given as (size, mtime_ns, inode)."""
        return cls(f"{READER_VERSION}:" + ";".join(f"{s},{m},{i}" for s, m, i in files))


class CachedHeader(NamedTuple):
    """A header, or the problem that reading it met; neither where there is no model to list."""

    header: ModelHeader | None
    problem: str | None


def encode(header: ModelHeader) -> str:
    """A header as compact JSON.

    A model has many blocks and few kinds of them: each kind is written once, which makes reading a
    list of models several times as fast.
    """
    weights = header.weights
    kinds = dict.fromkeys(block[1:] for block in weights.blocks)
    place = {kind: index for index, kind in enumerate(kinds)}
    record = {
        "header": {
            "architecture": header.architecture,
            "name": header.name,
            "parameters": header.parameters,
            "quantisation": header.quantisation,
            "context_length": header.context_length,
            "vocabulary_size": header.vocabulary_size,
            "has_chat_template": header.has_chat_template,
            "tensor_count": header.tensor_count,
            "format": header.format.value,
        },
        "hparams": dict(header.hparams),
        "weights": {
            "token_embedding_bytes": weights.token_embedding_bytes,
            "host_only_bytes": weights.host_only_bytes,
            "output_bytes": weights.output_bytes,
            "output_tied": weights.output_tied,
            "other_bytes": weights.other_bytes,
            "largest_matrix_bytes": weights.largest_matrix_bytes,
            "largest_expert_bytes": weights.largest_expert_bytes,
        },
        "block_kinds": list(kinds),
        "block_numbers": [block.number for block in weights.blocks],
        "blocks": [place[block[1:]] for block in weights.blocks],
    }
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> ModelHeader:
    """The header that ``encode`` made ``text`` of. Raises ValueError, LookupError, TypeError."""
    record: Any = json.loads(text)
    kinds = record["block_kinds"]
    numbered = zip(record["block_numbers"], record["blocks"], strict=True)
    blocks = tuple([BlockWeights(number, *kinds[kind]) for number, kind in numbered])
    hparams: dict[str, HParam] = {
        key: tuple(cast("list[int]", value)) if isinstance(value, list) else value
        for key, value in record["hparams"].items()
    }
    weights = WeightTable(blocks=blocks, **record["weights"])
    known = record["header"]
    known["format"] = ModelFormat(known["format"])
    return ModelHeader(**known, hparams=hparams, weights=weights)


class _Row(NamedTuple):
    stamp: str
    header: str | None
    problem: str | None
    seen: int


class HeaderCache:
    """All cached headers, asked for one by one; what is new is written in one go.

    Two scans may overlap in two threads: each step is one operation on a dict. A file that no scan
    has met for half a year is forgotten.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unsaved: dict[str, _Row] = {}
        self._unnamable: dict[str, _Row] = {}

    def get(self, path: Path, stamp: Stamp) -> CachedHeader | None:
        """What was found in ``path`` when it had this stamp, or None."""
        name = str(path)
        row = self._unsaved.get(name) or self._kept(name)
        if row is None or row.stamp != stamp.text:
            return None
        try:
            header = None if row.header is None else decode(row.header)
        except (ValueError, LookupError, TypeError):
            return None
        if time.time() - row.seen > _STILL_SEEN_SECONDS:
            self._keep(path, row.stamp, row.header, row.problem)
        return CachedHeader(header, row.problem)

    def _kept(self, path: str) -> _Row | None:
        """The row of ``path``; none where the cache cannot be read, which only makes it slower."""
        if not is_text(path):
            return self._unnamable.get(path)
        query = "SELECT stamp, header, problem, seen FROM headers WHERE path = ?"
        with contextlib.suppress(StoreError):
            for row in self._database.rows(query, (path,)):
                return _Row(*row)
        return None

    def put(self, path: Path, stamp: Stamp, found: CachedHeader) -> None:
        """Remember what was found; kept for good by ``save``."""
        header = None if found.header is None else encode(found.header)
        self._keep(path, stamp.text, header, found.problem)

    def save(self) -> None:
        """Write what is new. Raises StoreError."""
        unsaved, self._unsaved = self._unsaved, {}
        if not unsaved:
            return
        rows = [(p, row.stamp, row.header, row.problem, row.seen) for p, row in unsaved.items()]
        try:
            with self._database.transaction() as connection:
                insert = "INSERT OR REPLACE INTO headers VALUES (?, ?, ?, ?, ?)"
                connection.executemany(insert, rows)
                forgotten = int(time.time()) - _FORGOTTEN_SECONDS
                connection.execute("DELETE FROM headers WHERE seen < ?", (forgotten,))
        except StoreError:
            self._unsaved = unsaved | self._unsaved
            raise

    def _keep(self, path: Path, stamp: str, header: str | None, problem: str | None) -> None:
        name = str(path)
        rows = self._unsaved if is_text(name) else self._unnamable
        rows[name] = _Row(stamp, header, problem, int(time.time()))
