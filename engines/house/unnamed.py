"""What nothing names any more once some names are gone: blobs, refs, left-over folders. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.catalog.hub import SNAPSHOTS
from modeldeck.engines.house.manifests import BLOBS, MANIFESTS, digest_of_blob
from modeldeck.engines.house.stock import Entry, Stock
from modeldeck.engines.types import Source

LOCKS: Final = ".locks"
NOT_THERE: Final = ".no_exist"
REPOSITORY: Final = "models--"

_GOING_ON: Final = (".incomplete", ".part")


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


def repository_of(entry: Entry) -> Path | None:
    """The folder of the repository that a file of the Hugging Face cache belongs to."""
    if entry.source is not Source.HUGGING_FACE:
        return None
    first = entry.path.relative_to(entry.root).parts[:1]
    named = bool(first) and first[0].startswith(REPOSITORY) and entry.path.parent != entry.root
    return entry.root / first[0] if named else None


def by_repository(stock: Stock) -> dict[Path, list[Entry]]:
    """The files of the Hugging Face cache by the repository they belong to."""
    found: dict[Path, list[Entry]] = {}
    for entry in stock.entries:
        if (repository := repository_of(entry)) is not None:
            found.setdefault(repository, []).append(entry)
    return found


def is_going_on(entry: Entry) -> bool:
    """Whether a file is a download that has not ended, as its name says."""
    return entry.path.name.endswith(_GOING_ON)


def unnamed_in_hub(repository: Path, stock: Stock, going: AbstractSet[Path]) -> Unnamed:
    """What nothing names in one repository of the Hugging Face cache once ``going`` is gone.

    Blobs that no link leads to, from wherever; refs of revisions that are not there; notes of
    absent files of such revisions; all that is left when there is no snapshot, unless a download
    is going on.
    """
    files = by_repository(stock).get(repository, [])
    staying = [entry for entry in files if entry.path not in going]
    snapshots = repository / SNAPSHOTS
    revisions = {
        entry.path.relative_to(snapshots).parts[0]
        for entry in staying
        if snapshots in entry.path.parents
    }
    if not revisions and not any(map(is_going_on, staying)):
        locks = repository.parent / LOCKS / repository.name
        rest = [entry for entry in stock.entries if locks in entry.path.parents]
        kept = [entry for entry in staying if not _is_linked(entry, stock, going)]
        return Unnamed(tuple(entry.path for entry in (*kept, *rest)))
    paths = [
        ref.path
        for ref in stock.refs
        if repository in ref.path.parents and ref.revision not in revisions
    ]
    for entry in staying:
        inside = entry.path.relative_to(repository).parts
        if inside[0] == NOT_THERE and len(inside) > 1 and inside[1] not in revisions:
            paths.append(entry.path)
        is_blob = entry.path.parent == repository / BLOBS and not is_going_on(entry)
        if is_blob and not _is_linked(entry, stock, going):
            paths.append(entry.path)
    return Unnamed(tuple(path for path in paths if path not in going))


def _is_linked(entry: Entry, stock: Stock, going: AbstractSet[Path]) -> bool:
    """Whether a symbolic link that stays leads to a file."""
    return any(link.path not in going for link in stock.links_to.get(entry.path, ()))


def emptied(paths: AbstractSet[Path], stock: Stock) -> tuple[Path, ...]:
    """The folders that may be empty once ``paths`` are gone, the deepest first.

    A store's own folder stays, and so do Ollama's ``blobs`` and ``manifests``, and ``snapshots``
    in a repository of which a file stays: the Hugging Face client looks for it.
    """
    roots = {place.path for place in stock.places}
    kept = roots | {root / name for root in roots for name in (BLOBS, MANIFESTS, LOCKS)}
    for repository, files in by_repository(stock).items():
        if any(entry.path not in paths for entry in files):
            kept.add(repository / SNAPSHOTS)
    found: set[Path] = set()
    for path in paths:
        root = stock.by_path[path].root
        below = (folder for folder in path.parents if root in folder.parents)
        found.update(folder for folder in below if folder not in kept)
    return tuple(sorted(found, key=lambda folder: (-len(folder.parts), folder)))
