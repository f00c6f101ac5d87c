"""What can go because nothing needs it: orphans, downloads given up, links to nothing. Pure.

What is young is left alone, as it may be in the making: a program writes a blob first and what
names it last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from modeldeck.engines.house.duplicates import BESIDE
from modeldeck.engines.house.manifests import BLOBS
from modeldeck.engines.house.removal import GoingName, Holders, Removal
from modeldeck.engines.house.stock import Entry, Identity, Stock
from modeldeck.engines.house.unnamed import (
    emptied,
    is_going_on,
    unnamed_in_hub,
    unnamed_in_ollama,
)
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Source
from modeldeck.engines.units import file_size

YOUNG_SECONDS: Final = 3_600.0
"""What nothing names is left alone for so long after its last change."""

GIVEN_UP_SECONDS: Final = 86_400.0
"""A download that nobody wrote into for so long is given up."""

_LEFT_BESIDE: Final = re.compile(rf"{re.escape(BESIDE)}[0-9a-f]{{16}}")
_JOURNAL: Final = ".part.journal"
_PARTIAL: Final = "-partial"
_MANAGED: Final = frozenset(
    {Source.HUGGING_FACE, Source.OLLAMA, Source.LLAMA_CPP, Source.LM_STUDIO}
)
_KEPT_EMPTY: Final = frozenset(
    {"blobs", "manifests", "manifests-v2", "snapshots", "refs", ".locks"}
)


class Kind(StrEnum):
    """Why something can go."""

    OLLAMA_BLOB = "ollama-blob"
    HUB_ORPHAN = "hub-orphan"
    PARTIAL = "partial"
    BROKEN_LINK = "broken-link"
    LEFTOVER = "leftover"


@dataclass(frozen=True, slots=True)
class Orphan:
    """One name that can go."""

    path: Path
    kind: Kind
    allocated_bytes: int


@dataclass(frozen=True, slots=True)
class Live:
    """What is being downloaded, or is to be.

    Attributes:
        repositories: of the Hub, ``owner/name``, that come into its cache.
        folders: that others come into: stores of Ollama, plain folders.
        files: that a process has locked.
    """

    repositories: frozenset[str] = frozenset()
    folders: frozenset[Path] = frozenset()
    files: frozenset[Identity] = frozenset()


NOTHING_LIVE: Final = Live()


@dataclass(frozen=True, slots=True)
class Pruning:
    """The plan.

    Attributes:
        orphans: what can go, the largest first.
        folders: that are empty, or will be.
        removal: the same as a removal for good.
        remarks: what stays to be safe; sentences.
    """

    orphans: tuple[Orphan, ...]
    folders: tuple[Path, ...]
    removal: Removal
    remarks: tuple[str, ...]


def plan_pruning(
    stock: Stock, now: float, holders: Holders | None = None, live: Live = NOTHING_LIVE
) -> Pruning:
    """What nothing needs any more.

    Args:
        stock: the stores as they are.
        now: in seconds since 1970.
        holders: who has which files open; nothing that is open goes.
        live: the downloads that are under way or wait.
    """
    remarks: list[str] = []
    found: dict[Path, Orphan] = {}
    for orphan in _all(stock, now, live, remarks):
        entry = stock.by_path[orphan.path]
        users = (holders or {}).get(entry.identity, ())
        if users:
            remarks.append(f"{clean_line(str(orphan.path))} stays: it is open in {users[0]}.")
        elif entry.identity not in live.files:
            found.setdefault(orphan.path, orphan)
    orphans = tuple(sorted(found.values(), key=lambda one: (-one.allocated_bytes, one.path)))
    entries = [stock.by_path[one.path] for one in orphans]
    folders = {*emptied(found.keys(), stock), *_empty_folders(stock, now, found.keys())}
    deepest_first = tuple(sorted(folders, key=lambda folder: (-len(folder.parts), folder)))
    freed = _freed(entries)
    names = tuple(GoingName(e.path, e.device, e.inode, e.size_bytes) for e in entries)
    removal = Removal(("orphans",), names, deepest_first, (), freed, 0, ())
    return Pruning(orphans, deepest_first, removal, tuple(dict.fromkeys(remarks)))


def _freed(entries: list[Entry]) -> int:
    going: dict[Identity, list[Entry]] = {}
    for entry in entries:
        going.setdefault(entry.identity, []).append(entry)
    return sum(names[0].allocated_bytes for names in going.values() if len(names) >= names[0].links)


def _all(stock: Stock, now: float, live: Live, remarks: list[str]) -> Iterator[Orphan]:
    unnamed = unnamed_in_ollama(stock, frozenset())
    remarks += unnamed.kept
    for path in unnamed.paths:
        entry = stock.by_path[path]
        if entry.root in live.folders:
            remarks.append("Ollama's blobs are kept: a download into its store is under way.")
        elif _is_old(entry, now, YOUNG_SECONDS):
            yield _orphan(entry, Kind.OLLAMA_BLOB)
    yield from _in_hub(stock, now, live, remarks)
    yield from _partials(stock, now, live)
    for entry in stock.entries:
        if not _is_old(entry, now, YOUNG_SECONDS):
            continue
        if _LEFT_BESIDE.fullmatch(entry.path.name):
            yield _orphan(entry, Kind.LEFTOVER)
        elif entry.broken and _is_surely_broken(entry, stock):
            yield _orphan(entry, Kind.BROKEN_LINK)


def _in_hub(stock: Stock, now: float, live: Live, remarks: list[str]) -> Iterator[Orphan]:
    for repository, files in stock.by_repository.items():
        name = repository.name.removeprefix("models--").replace("--", "/", 1)
        if name in live.repositories:
            remarks.append(f"{clean_line(name)} is being downloaded and is left alone.")
            continue
        if any(repository in (folder, *folder.parents) for folder in stock.unreadable):
            remarks.append(f"{clean_line(name)} may not be read everywhere and is left alone.")
            continue
        if any(is_going_on(e) and not _is_old(e, now, GIVEN_UP_SECONDS) for e in files):
            remarks.append(f"{clean_line(name)} was written into today and is left alone.")
            continue
        for path in unnamed_in_hub(repository, stock, frozenset()):
            if _is_old(stock.by_path[path], now, YOUNG_SECONDS):
                yield _orphan(stock.by_path[path], Kind.HUB_ORPHAN)


def _partials(stock: Stock, now: float, live: Live) -> Iterator[Orphan]:
    """Downloads that were given up: of the Hub's own client, of Ollama and of ours."""
    groups: dict[Path, list[Entry]] = {}
    for entry in stock.entries:
        if (whole := _download_of(entry)) is not None:
            groups.setdefault(whole, []).append(entry)
    for files in groups.values():
        in_hub = files[0].source is Source.HUGGING_FACE
        first = files[0].path.relative_to(files[0].root).parts[0]
        name = first.removeprefix("models--").replace("--", "/", 1)
        into = not live.folders.isdisjoint(files[0].path.parents)
        wanted = name in live.repositories if in_hub else into
        locked = any(entry.identity in live.files for entry in files)
        old = all(_is_old(entry, now, GIVEN_UP_SECONDS) for entry in files)
        if old and not wanted and not locked:
            yield from (_orphan(entry, Kind.PARTIAL) for entry in files)


def _download_of(entry: Entry) -> Path | None:
    """What tells the files of one unfinished download from others; None for what is none.

    Ours are ``NAME.part`` and its ``.journal``, those of ``huggingface_hub``
    ``ETAG.RANDOM.incomplete``, Ollama's ``sha256-HEX-partial`` with ``-partial-N`` beside it
    (``server/download.go``).
    """
    path = entry.path
    if entry.is_link:
        return None
    if entry.source is Source.OLLAMA and path.parent == entry.root / BLOBS:
        before, found, _ = path.name.partition(_PARTIAL)
        if found:
            return path.with_name(before)
    if path.parent.name == ".modeldeck" and path.name.endswith((".part", _JOURNAL)):
        return path.with_name(path.name.removesuffix(".journal"))
    if entry.source is Source.HUGGING_FACE and path.name.endswith(".incomplete"):
        return path
    return None


def _is_surely_broken(entry: Entry, stock: Stock) -> bool:
    """Whether a link leads to nothing that could come back with a disk that is not mounted."""
    target = entry.leads_to
    if target is None or entry.source not in _MANAGED:
        return False
    return any(place.path in target.parents for place in stock.places)


def _is_old(entry: Entry, now: float, seconds: float) -> bool:
    return now - entry.changed_ns / 1e9 > seconds


def _orphan(entry: Entry, kind: Kind) -> Orphan:
    return Orphan(entry.path, kind, entry.allocated_bytes)


def _empty_folders(stock: Stock, now: float, going: AbstractSet[Path]) -> Iterator[Path]:
    """Folders with nothing left in the stores that programs keep, not in the user's own."""
    managed = {place.path for place in stock.places if place.source in _MANAGED}
    filled = {up for e in stock.entries if e.path not in going for up in e.path.parents}
    blocked = {up for folder in stock.unreadable for up in (folder, *folder.parents)}
    young = {path for path, changed in stock.folders if now - changed < YOUNG_SECONDS}
    kept = filled | blocked | {up for path in young for up in (path, *path.parents)}
    for path, _ in stock.folders:
        needed = path.name in _KEPT_EMPTY and (path.parent in filled or path.parent in managed)
        if path not in kept and not needed and not managed.isdisjoint(path.parents):
            yield path


def summary(plan: Pruning) -> str:
    """What it comes to, for people."""
    if not plan.orphans and not plan.folders:
        return "Nothing to remove."
    files = f"{len(plan.orphans)} {'file' if len(plan.orphans) == 1 else 'files'}"
    return f"{files}, {file_size(plan.removal.freed_bytes)}."
