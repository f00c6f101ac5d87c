"""Which unfinished downloads a process has locked right now."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from modeldeck.engines.house.contents import open_file
from modeldeck.engines.house.stock import Entry, Identity, Stock
from modeldeck.engines.house.unnamed import LOCKS, is_going_on
from modeldeck.engines.types import Source


def locked_downloads(stock: Stock) -> frozenset[Identity]:
    """The files of downloads that a program holds the lock of.

    Ours lock the part file itself; ``huggingface_hub`` locks
    ``.locks/REPOSITORY/ETAG.lock`` while it writes ``blobs/ETAG.RANDOM.incomplete``. Both locks are
    ``flock``; each is held here for no longer than it takes to ask.
    """
    return frozenset(
        entry.identity
        for entry in stock.entries
        if is_going_on(entry) and any(map(_is_locked, _locks_of(entry)))
    )


def _locks_of(entry: Entry) -> Iterator[Path]:
    yield entry.path.with_name(entry.path.name.removesuffix(".journal"))
    if entry.source is Source.HUGGING_FACE:
        inside = entry.path.relative_to(entry.root).parts
        etag = entry.path.name.split(".")[0]
        yield entry.root / LOCKS / inside[0] / f"{etag}.lock"


def _is_locked(path: Path) -> bool:
    with contextlib.suppress(OSError), open_file(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
