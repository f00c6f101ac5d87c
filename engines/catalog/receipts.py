"""Where files in plain folders came from: neither their names nor their content say it.

One small file for each, in a folder of our own. What was changed, moved or removed since has none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from modeldeck.engines.paths import data_dir, private_dir

_MOST_BYTES = 64 << 10


class Receipt(NamedTuple):
    """One file, as it was put into its place.

    Attributes:
        path: where it is.
        folder: that it was pulled into; its repository may have folders of its own below.
        target: what brought it, as ``modeldeck pull`` takes it.
        repository: ``owner/name``, or its name in a registry; empty for an address.
        revision: branch, tag or commit that was asked for; empty for an address.
        commit: the revision as the server pinned it; empty where it did not.
        name: of the file in the repository.
        state: what tells its content from a later one: LFS oid, git oid or etag.
        size_bytes: of the file.
        mtime_ns: when it was last written.
    """

    path: str
    folder: str
    target: str
    repository: str
    revision: str
    commit: str
    name: str
    state: str
    size_bytes: int
    mtime_ns: int


def receipts_folder() -> Path:
    """Where they are kept."""
    return data_dir() / "receipts"


def keep_receipts(folder: Path, receipts: Iterable[Receipt]) -> None:
    """Write them down; a disk that cannot take them is no reason to fail: nothing depends on it."""
    with suppress(OSError):
        private_dir(folder)
        for receipt in receipts:
            place = _place(folder, receipt.path)
            made = place.with_suffix(".new")
            made.write_text(json.dumps(receipt._asdict()), encoding="utf-8")
            made.replace(place)


def receipts_in(folder: Path) -> tuple[Receipt, ...]:
    """Of the files that are still what was brought, by path."""
    found: list[Receipt] = []
    with suppress(OSError):
        for place in folder.glob("*.json"):
            receipt = _read(place)
            if receipt is not None and _place(folder, receipt.path) == place and _is_same(receipt):
                found.append(receipt)
    return tuple(sorted(found))


def _place(folder: Path, path: str) -> Path:
    return folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"


def _read(place: Path) -> Receipt | None:
    try:
        if place.stat().st_size > _MOST_BYTES:
            return None
        fields = json.loads(place.read_bytes())
        receipt = Receipt(**{name: fields[name] for name in Receipt._fields})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    words = receipt[:-2]
    counts = receipt[-2:]
    sound = all(type(word) is str for word in words) and all(type(one) is int for one in counts)
    return receipt if sound else None


def _is_same(receipt: Receipt) -> bool:
    try:
        found = Path(receipt.path).stat()
    except (OSError, ValueError):
        return False
    return (found.st_size, found.st_mtime_ns) == (receipt.size_bytes, receipt.mtime_ns)
