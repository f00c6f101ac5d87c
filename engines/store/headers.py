"""Headers already read, kept by path, size, time of change and inode."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast, overload

from modeldeck.engines.store.database import Database, Schema, StoreError, is_text
from modeldeck.engines.types import BlockWeights, HParam, ModelFormat, ModelHeader, WeightTable

READER_VERSION: Final = 6
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


_SAID: Final = tuple(name for name in ModelHeader._fields if name not in ("hparams", "weights"))
_SUMMED: Final = WeightTable._fields[1:]
_Record = tuple[list[Any], dict[str, Any], list[Any], list[int], list[int], list[list[int]]]


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


class KeptBlocks(Sequence[BlockWeights]):
    """The blocks of a kept header, made when they are asked for: a list of models never does.

    Raises:
        ValueError, TypeError: what was kept makes no sense.
    """

    __slots__ = ("_kinds", "_numbers", "_places")

    def __init__(
        self, numbers: Sequence[int], places: Sequence[int], kinds: Sequence[Sequence[int]]
    ) -> None:
        """Numbers of blocks, the place of each one's kind, and the kinds."""
        known = range(len(kinds))
        if len(numbers) != len(places) or any(place not in known for place in set(places)):
            raise ValueError("the kinds of blocks do not fit the blocks")
        if any(len(kind) != len(BlockWeights._fields) - 1 for kind in kinds):
            raise ValueError("a block has other numbers")
        self._numbers, self._places, self._kinds = numbers, places, kinds

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> BlockWeights: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[BlockWeights, ...]: ...
    def __getitem__(self, index: int | slice) -> BlockWeights | tuple[BlockWeights, ...]:
        if isinstance(index, slice):
            return tuple(map(self._made, range(*index.indices(len(self)))))
        return self._made(range(len(self))[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(cast("Sequence[object]", other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def _made(self, at: int) -> BlockWeights:
        return BlockWeights(self._numbers[at], *self._kinds[self._places[at]])


def encode(header: ModelHeader) -> str:
    """A header as compact JSON.

    A model has many blocks and few kinds of them: each kind is written once, which makes reading a
    list of models several times as fast.
    """
    weights = header.weights
    kinds = dict.fromkeys(block[1:] for block in weights.blocks)
    place = {kind: index for index, kind in enumerate(kinds)}
    record = (
        [getattr(header, field) for field in _SAID],
        dict(header.hparams),
        [getattr(weights, field) for field in _SUMMED],
        [block.number for block in weights.blocks],
        [place[block[1:]] for block in weights.blocks],
        list(kinds),
    )
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> ModelHeader:
    """The header that ``encode`` made ``text`` of. Raises ValueError, LookupError, TypeError."""
    said, values, summed, numbers, places, kinds = cast("_Record", json.loads(text))
    hparams: dict[str, HParam] = {
        key: tuple(cast("list[int]", value)) if isinstance(value, list) else value
        for key, value in values.items()
    }
    blocks = KeptBlocks(numbers, places, kinds)
    weights = WeightTable(blocks, **dict(zip(_SUMMED, summed, strict=True)))
    known = dict(zip(_SAID, said, strict=True))
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
        self._recalled: Mapping[str, _Row | None] = {}

    def get(self, path: Path, stamp: Stamp) -> CachedHeader | None:
        """What was found in ``path`` when it had this stamp, or None."""
        name = str(path)
        row = self._unsaved.get(name)
        if row is None:
            row = self._recalled[name] if name in self._recalled else self._kept(name)
        if row is None or row.stamp != stamp.text:
            return None
        try:
            header = None if row.header is None else decode(row.header)
        except (ValueError, LookupError, TypeError):
            return None
        if time.time() - row.seen > _STILL_SEEN_SECONDS:
            self._keep(path, row.stamp, row.header, row.problem)
        return CachedHeader(header, row.problem)

    def recall(self, paths: Iterable[Path]) -> None:
        """Have at hand what is kept of ``paths``, which are to be asked for next: one query."""
        names = [name for path in paths if is_text(name := str(path))]
        marks = ",".join("?" * len(names))
        query = f"SELECT path, stamp, header, problem, seen FROM headers WHERE path IN ({marks})"  # noqa: S608
        with contextlib.suppress(StoreError):
            rows = self._database.rows(query, names)
            self._recalled = dict.fromkeys(names) | {path: _Row(*row) for path, *row in rows}

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
        self._recalled = {}
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
