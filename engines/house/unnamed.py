"""What nothing names any more once some names are gone: blobs, refs, left-over folders. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.catalog.hub import SNAPSHOTS
from modeldeck.engines.house.manifests import BLOBS, MANIFESTS, NEWER_MANIFESTS, digest_of_blob
from modeldeck.engines.house.stock import Entry, Stock
from modeldeck.engines.types import Source

LOCKS: Final = ".locks"
NOT_THERE: Final = ".no_exist"

_GOING_ON: Final = (".incomplete", ".part", ".part.journal")


class Unnamed(NamedTuple):
    """What nothing names.

    Attributes:
        paths: in the order they may go: what names before what is named.
        kept: sentences about what was kept to be safe.
    """

    paths: tuple[Path, ...]
    kept: tuple[str, ...] = ()


def unnamed_in_ollama(stock: Stock, going: AbstractSet[Path]) -> Unnamed:
    """The blobs that no manifest names once those in ``going`` are gone.

    In a store with a manifest that cannot be read, or a folder that may not be, none: what it
    names is not known.
    """
    paths: list[Path] = []
    kept: list[str] = []
    for place in stock.places:
        if place.source is not Source.OLLAMA:
            continue
        staying = [one for one in stock.manifests if one.store == place.path]
        staying = [one for one in staying if one.path not in going]
        if any(place.path in (folder, *folder.parents) for folder in stock.unreadable):
            kept.append("A folder of Ollama's store may not be read, so its blobs are kept.")
            continue
        if unsound := [one for one in staying if not one.sound]:
            kept.append(f"Ollama's blobs are kept: the manifest of {unsound[0].name} is damaged.")
            continue
        named = {digest for one in staying for digest in one.digests}
        for entry in stock.entries:
            if entry.root == place.path and entry.path.parent == place.path / BLOBS:
                digest = digest_of_blob(entry.path)
                if digest is not None and digest not in named and entry.path not in going:
                    paths.append(entry.path)
    return Unnamed(tuple(paths), tuple(kept))


def is_going_on(entry: Entry) -> bool:
    """Whether a file is a download that has not ended, as its name says."""
    return entry.path.name.endswith(_GOING_ON)


def unnamed_in_hub(repository: Path, stock: Stock, going: AbstractSet[Path]) -> tuple[Path, ...]:
    """What nothing names in one repository of the Hugging Face cache once ``going`` is gone.

    Refs of revisions that are not there, notes of absent files of such revisions, and blobs that no
    link leads to, from wherever; with the last of these the locks.
    """
    files = stock.by_repository.get(repository, ())
    staying = [entry for entry in files if entry.path not in going]
    snapshots = repository / SNAPSHOTS
    revisions = {
        entry.path.relative_to(snapshots).parts[0]
        for entry in staying
        if snapshots in entry.path.parents
    }
    refs = {ref.path for ref in stock.refs if ref.revision not in revisions}
    unnamed: list[Path] = []
    for entry in staying:
        inside = entry.path.relative_to(repository).parts
        is_note = inside[0] == NOT_THERE and len(inside) > 1 and inside[1] not in revisions
        is_blob = entry.path.parent == repository / BLOBS and not is_going_on(entry)
        is_unnamed = is_blob and not _is_linked(entry, stock, going)
        if is_note or is_unnamed or entry.path in refs:
            unnamed.append(entry.path)
    if len(unnamed) == len(staying):
        locks = repository.parent / LOCKS / repository.name
        unnamed += [entry.path for entry in stock.entries if locks in entry.path.parents]
    return tuple(unnamed)


def _is_linked(entry: Entry, stock: Stock, going: AbstractSet[Path]) -> bool:
    """Whether a symbolic link that stays leads to a file."""
    return any(link.path not in going for link in stock.links_to.get(entry.path, ()))


def emptied(paths: AbstractSet[Path], stock: Stock) -> tuple[Path, ...]:
    """The folders that may be empty once ``paths`` are gone, the deepest first.

    A store's own folder stays, and so do Ollama's ``blobs`` and ``manifests``, and ``snapshots``
    in a repository of which a file stays: the Hugging Face client looks for it.
    """
    roots = {place.path for place in stock.places}
    kept = roots | {
        root / name for root in roots for name in (BLOBS, MANIFESTS, NEWER_MANIFESTS, LOCKS)
    }
    for repository, files in stock.by_repository.items():
        if any(entry.path not in paths for entry in files):
            kept.add(repository / SNAPSHOTS)
    found: set[Path] = set()
    for path in paths:
        root = stock.by_path[path].root
        below = (folder for folder in path.parents if root in folder.parents)
        found.update(folder for folder in below if folder not in kept)
    return tuple(sorted(found, key=lambda folder: (-len(folder.parts), folder)))
