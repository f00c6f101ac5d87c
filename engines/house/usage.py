"""What stores and models take on the disk: real blocks, each physical file counted once. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.house.held import every_name
from modeldeck.engines.house.stock import Entry, Identity, Stock
from modeldeck.engines.types import LocalModel, Source


@dataclass(frozen=True, slots=True)
class Usage:
    """What some files take.

    Attributes:
        apparent_bytes: as ``ls -l`` adds them up, every hard link again.
        allocated_bytes: what the file system gave them, each physical file once.
        shared_bytes: of those, what has a name elsewhere too, so that deleting frees nothing.
        files: physical files.
    """

    apparent_bytes: int
    allocated_bytes: int
    shared_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What one store takes."""

    source: Source
    path: Path
    usage: Usage


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model takes, under all its names, with its projector."""

    model: LocalModel
    usage: Usage


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What all of it takes.

    Attributes:
        stores: in the order they are looked through.
        models: the largest on the disk first.
        whole: all stores together; what several of them share counts once.
    """

    stores: tuple[StoreUsage, ...]
    models: tuple[ModelUsage, ...]
    whole: Usage


def disk_use(models: Sequence[LocalModel], stock: Stock) -> DiskUse:
    """What the models in the stores take."""
    by_root: dict[Path, list[Entry]] = {place.path: [] for place in stock.places}
    for entry in stock.entries:
        by_root.setdefault(entry.root, []).append(entry)
    stores = tuple(
        StoreUsage(place.source, place.path, usage_of(by_root[place.path]))
        for place in stock.places
    )
    files = [(model, _files(model, stock)) for model in models]
    users = Counter(
        identity for _, entries in files for identity in {entry.identity for entry in entries}
    )
    used = [
        ModelUsage(model, usage_of(entries, lambda identity: users[identity] > 1))
        for model, entries in files
    ]
    used.sort(key=lambda one: (-one.usage.allocated_bytes, one.model.name.lower(), one.model.id))
    return DiskUse(stores, tuple(used), usage_of(stock.entries))


def usage_of(
    entries: Iterable[Entry], is_shared: Callable[[Identity], bool] = lambda _: False
) -> Usage:
    """What these names take together. A symbolic link takes nothing worth counting.

    A file is shared when it has more hard links than names here, or when ``is_shared`` says so.
    """
    names: Counter[Identity] = Counter()
    files: dict[Identity, Entry] = {}
    apparent = 0
    for entry in {entry.path: entry for entry in entries if not entry.is_link}.values():
        names[entry.identity] += 1
        files[entry.identity] = entry
        apparent += entry.size_bytes
    shared = sum(
        entry.allocated_bytes
        for identity, entry in files.items()
        if entry.links > names[identity] or is_shared(identity)
    )
    return Usage(apparent, sum(e.allocated_bytes for e in files.values()), shared, len(files))


def _files(model: LocalModel, stock: Stock) -> list[Entry]:
    """The regular files of a model under all its names; links are followed to them."""
    found: list[Entry] = []
    for held in every_name(model, stock):
        for path in (*held.files, held.projector):
            entry = stock.by_path.get(path) if path is not None else None
            if entry is not None and entry.leads_to is not None:
                entry = stock.by_path.get(entry.leads_to)
            if entry is not None:
                found.append(entry)
    return found
