"""What lies in the stores: every name, link and folder, as one frozen picture. Opens no weights."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.manifests import Manifest, manifests_of
from modeldeck.engines.types import Source

SECTOR_BYTES: Final = 512
"""What ``st_blocks`` counts in, on every file system (POSIX ``sys/stat.h``)."""

TRASH: Final = ".modeldeck-trash-"
"""How the folder of a trash begins: what is in it is no part of a store any more."""

MAX_ENTRIES: Final = 1_000_000
_HUB_REPOSITORY: Final = "models--"

Identity: TypeAlias = tuple[int, int]
"""Device and inode: a physical file, the same for every hard link to it."""


class Entry(NamedTuple):
    """One name on the disk: a regular file or a symbolic link, never followed.

    Attributes:
        path: its folder resolved, its own name not.
        root: of the store that it lies in.
        source: the kind of that store.
        size_bytes: apparent, as ``ls -l`` has it.
        allocated_bytes: what the file system gave it; less for a sparse file.
        changed_ns: when it was last written, renamed or linked, by the file system's clock.
        links: how many hard links the file has, also outside the stores.
        leads_to: where a symbolic link ends, fully resolved; None for a regular file.
        broken: a symbolic link to nothing.
    """

    path: Path
    root: Path
    source: Source
    size_bytes: int
    allocated_bytes: int
    mtime_ns: int
    changed_ns: int
    device: int
    inode: int
    links: int
    mode: int
    owner: int
    group: int
    leads_to: Path | None = None
    broken: bool = False

    @property
    def identity(self) -> Identity:
        """The physical file."""
        return self.device, self.inode

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.leads_to is not None


class Ref(NamedTuple):
    """A branch or tag of a repository in the Hugging Face cache: ``refs/NAME``."""

    path: Path
    revision: str


class _Pictured(NamedTuple):
    entries: tuple[Entry, ...]
    folders: tuple[tuple[Path, float], ...] = ()
    manifests: tuple[Manifest, ...] = ()
    refs: tuple[Ref, ...] = ()
    places: tuple[Place, ...] = ()
    unreadable: tuple[Path, ...] = ()


class Stock(_Pictured):
    """All stores at one moment.

    Attributes:
        entries: every name in them, each once.
        folders: every folder below a store's own, with its time of change in seconds since 1970.
        manifests: Ollama's, also those that cannot be read.
        refs: of the Hugging Face cache.
        places: the stores that are there, their paths resolved, each once.
        unreadable: folders that could not be looked into: what they hold is not known.
    """

    @cached_property
    def by_path(self) -> dict[Path, Entry]:
        """The entry of each path."""
        return {entry.path: entry for entry in self.entries}

    @cached_property
    def by_identity(self) -> dict[Identity, tuple[Entry, ...]]:
        """The regular files by physical file."""
        found: dict[Identity, list[Entry]] = {}
        for entry in self.entries:
            if not entry.is_link:
                found.setdefault(entry.identity, []).append(entry)
        return {identity: tuple(names) for identity, names in found.items()}

    @cached_property
    def links_to(self) -> dict[Path, tuple[Entry, ...]]:
        """The symbolic links by where they end."""
        found: dict[Path, list[Entry]] = {}
        for entry in self.entries:
            if entry.leads_to is not None:
                found.setdefault(entry.leads_to, []).append(entry)
        return {path: tuple(links) for path, links in found.items()}

    @cached_property
    def by_repository(self) -> dict[Path, tuple[Entry, ...]]:
        """The files of the Hugging Face cache by the folder of their repository."""
        found: dict[Path, list[Entry]] = {}
        for entry in self.entries:
            if entry.source is Source.HUGGING_FACE:
                inside = entry.path.relative_to(entry.root).parts
                if len(inside) > 1 and inside[0].startswith(_HUB_REPOSITORY):
                    found.setdefault(entry.root / inside[0], []).append(entry)
        return {folder: tuple(entries) for folder, entries in found.items()}


def real(path: Path) -> Path:
    """``path`` with its folder resolved and its last name left as it is, as entries have it."""
    return Path(os.path.realpath(path.parent), path.name)


def take_stock(places: Iterable[Place], should_stop: Callable[[], bool] = lambda: False) -> Stock:
    """Look at every name in ``places``. Links are never followed out of a store.

    A store inside another is looked at once, as the inner one. What may not be read is noted.
    """
    roots: dict[Path, Place] = {}
    for place in places:
        path = Path(os.path.realpath(place.path))
        if place.source is not Source.DEMO and path.exists():
            roots.setdefault(path, Place(place.source, path))
    entries: list[Entry] = []
    folders: list[tuple[Path, float]] = []
    unreadable: list[Path] = []
    for place in roots.values():
        for found in _walk(place, roots, unreadable, should_stop):
            if isinstance(found, Entry):
                entries.append(found)
            else:
                folders.append(found)
    manifests = [
        manifest
        for root, place in roots.items()
        if place.source is Source.OLLAMA
        for manifest in manifests_of(root)
    ]
    refs = [ref for entry in entries for ref in _ref(entry)]
    return Stock(
        tuple(entries),
        tuple(folders),
        tuple(manifests),
        tuple(refs),
        tuple(roots.values()),
        tuple(unreadable),
    )


def with_files(stock: Stock, paths: Iterable[Path]) -> Stock:
    """The same with files that lie outside the stores, or are reached by a link out of one."""
    added: dict[Path, Entry] = {}
    for path in map(real, paths):
        if path not in stock.by_path:
            with contextlib.suppress(OSError):
                added[path] = entry_at(path, Place(Source.FOLDER, path.parent))
    return Stock(*stock._replace(entries=(*stock.entries, *added.values())))


def _walk(
    place: Place,
    roots: dict[Path, Place],
    unreadable: list[Path],
    should_stop: Callable[[], bool],
) -> Iterator[Entry | tuple[Path, float]]:
    if place.path.is_file():
        yield entry_at(place.path, place)
        return
    stack = [place.path]
    left = MAX_ENTRIES
    while stack and left and not should_stop():
        folder = stack.pop()
        try:
            with os.scandir(folder) as listing:
                names = sorted(listing, key=lambda one: one.name)
        except OSError:
            unreadable.append(folder)
            continue
        for name in names[:left]:
            left -= 1
            path = Path(name.path)
            with contextlib.suppress(OSError):
                if name.is_dir(follow_symlinks=False):
                    if path not in roots and not name.name.startswith(TRASH):
                        yield path, name.stat(follow_symlinks=False).st_mtime
                        stack.append(path)
                elif name.is_symlink() or name.is_file(follow_symlinks=False):
                    yield entry_at(path, place)
    if stack or not left:
        unreadable += stack or [place.path]


def entry_at(path: Path, place: Place) -> Entry:
    """The name at ``path`` as it is now. Raises OSError when there is none."""
    status = path.lstat()
    leads_to = None
    broken = False
    if stat.S_ISLNK(status.st_mode):
        leads_to = Path(os.path.realpath(path))
        broken = not leads_to.exists()
    return Entry(
        path=path,
        root=place.path,
        source=place.source,
        size_bytes=status.st_size,
        allocated_bytes=status.st_blocks * SECTOR_BYTES,
        mtime_ns=status.st_mtime_ns,
        changed_ns=max(status.st_mtime_ns, status.st_ctime_ns),
        device=status.st_dev,
        inode=status.st_ino,
        links=status.st_nlink,
        mode=status.st_mode,
        owner=status.st_uid,
        group=status.st_gid,
        leads_to=leads_to,
        broken=broken,
    )


def _ref(entry: Entry) -> Sequence[Ref]:
    """What a file is as a ref of the Hugging Face cache; nothing for any other."""
    if entry.source is not Source.HUGGING_FACE or entry.is_link or entry.size_bytes > 128:
        return ()
    inside = entry.path.relative_to(entry.root).parts
    if len(inside) < 3 or not inside[0].startswith(_HUB_REPOSITORY) or inside[1] != "refs":
        return ()
    with contextlib.suppress(OSError):
        return (Ref(entry.path, entry.path.read_bytes().decode("ascii", "replace").strip()),)
    return ()
