"""Finds the files that may be models: bounded, loop-proof, never opening any."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from modeldeck.engines.catalog.folders import PIPELINE, contents_of
from modeldeck.engines.catalog.found import Found, FoundFolder, found
from modeldeck.engines.catalog.hub import SNAPSHOTS, main_first
from modeldeck.engines.catalog.unreadable import Unreadable
from modeldeck.engines.text import clean_line

MAX_DEPTH: Final = 12
MAX_ENTRIES: Final = 500_000
LLAMAFILE: Final = ".llamafile"
SUFFIXES: Final = (".gguf", LLAMAFILE)
"""What files are called that are a model by themselves."""

_ASK_EVERY: Final = 1024


class Walk:
    """One walk through several folders.

    Links are followed; a folder is entered once however many ways lead to it.

    Attributes:
        absent: folders to start from that are not there.
        unreadable: folders and links that the user may not read.
        too_deep: folders that were not entered, because of ``MAX_DEPTH``.
        stopped_early: there were more than ``MAX_ENTRIES``.
    """

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self._seen: set[tuple[int, int]] = set()
        self._entries = 0
        self.absent: list[Path] = []
        self.unreadable = Unreadable()
        self.too_deep = 0
        self.stopped_early = False

    def files(self, root: Path) -> Iterator[Found | FoundFolder]:
        """Yield the models below ``root``, or ``root`` itself when it is a file.

        They are what is called ``.gguf`` or ``.llamafile``, and folders that are one model.
        """
        try:
            status = root.stat()
        except (FileNotFoundError, NotADirectoryError):
            self.absent.append(root)
            return
        except OSError:
            self.unreadable.add(root)
            return
        if not stat.S_ISDIR(status.st_mode):
            yield found(root, status)
            return
        stack = [(root, 0)]
        while stack:
            folder, depth = stack.pop()
            below: list[Path] = []
            entries = self._entries_of(folder)
            model = _model_in(folder, entries)
            if model is not None:
                yield model
            while entries:  # each is let go of once it was looked at: a folder may hold very many
                entry = entries.pop()
                self._entries += 1
                if self._entries > MAX_ENTRIES:
                    self.stopped_early = True
                    return
                if not self._entries % _ASK_EVERY and self._should_stop():
                    return
                file = self._looked_at(entry, below)
                if file is not None:
                    yield file
            if folder.name == SNAPSHOTS:
                below = main_first(folder, below)
            if depth < MAX_DEPTH:
                stack.extend((path, depth + 1) for path in reversed(below))
            else:
                self.too_deep += len(below)

    def folder(self, path: Path) -> FoundFolder | None:
        """The folder at ``path`` if that is one model; those below it are not looked into."""
        return _model_in(path, self._entries_of(path))

    def _entries_of(self, folder: Path) -> list[os.DirEntry[str]]:
        """The entries, the last name first; none for a folder entered before."""
        if self._should_stop():
            return []
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in self._seen:
                return []
            self._seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name, reverse=True)
        except FileNotFoundError:
            return []
        except OSError:
            self.unreadable.add(folder)
            return []

    def _looked_at(self, entry: os.DirEntry[str], below: list[Path]) -> Found | None:
        """The file of an entry, if it may be a model; a folder goes to ``below``."""
        # macOS leaves a "._name" beside each file it copies to a foreign disk.
        named_so = entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith("._")
        try:
            if entry.is_dir():
                below.append(Path(entry.path))
                return None
            return found(Path(entry.path), entry.stat()) if named_so else None
        except FileNotFoundError:
            return _dangling(entry, "It is a link to a file that is not there.")
        except OSError as error:
            if not named_so:
                return None
            if error.errno == errno.ELOOP:
                return _dangling(entry, "It is a link that leads back to itself.")
            self.unreadable.add(Path(entry.path))
            return None


def _model_in(folder: Path, entries: Sequence[os.DirEntry[str]]) -> FoundFolder | None:
    """A folder that is one model, with the state of its files; None for any other."""
    contents = contents_of(entry.name for entry in entries)
    if contents is None:
        return None
    wanted = {*contents.weights, *contents.papers}
    states = {entry.name: _state(entry) for entry in entries if entry.name in wanted}
    return FoundFolder(
        folder,
        tuple(states[name] for name in contents.weights),
        tuple(states[name] for name in contents.papers),
        contents.missing,
        contents.parts,
        contents.pickles,
        contents.companion or _is_pipeline(folder.parent),
    )


def _state(entry: os.DirEntry[str]) -> Found:
    """A file of a folder that is one model; what cannot be asked about is a problem."""
    path = Path(entry.path)
    try:
        return found(path, entry.stat())
    except OSError:
        return Found(path, 0, 0, 0, entry.inode(), f"{clean_line(entry.name, 80)} is not there.")


def _is_pipeline(folder: Path) -> bool:
    try:
        return (folder / PIPELINE).is_file()
    except OSError:
        return False


def _dangling(entry: os.DirEntry[str], problem: str) -> Found | None:
    """A link that leads nowhere; None for what has gone away meanwhile."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    if not stat.S_ISLNK(status.st_mode):
        return None
    times = status.st_mtime_ns, status.st_dev, status.st_ino
    return Found(Path(entry.path), 0, *times, problem)
