"""Finds the files that may be models: bounded, loop-proof, never opening any."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_DEPTH: Final = 12
MAX_ENTRIES: Final = 500_000
SUFFIX: Final = ".gguf"

_ASK_EVERY: Final = 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A file and its state when it was found.

    Attributes:
        path: as found; links are not resolved.
        problem: why it cannot be opened, a sentence; None for a regular file.
    """

    path: Path
    size_bytes: int
    mtime_ns: int
    device: int
    inode: int
    problem: str | None = None

    @property
    def identity(self) -> tuple[int, int]:
        """The physical file: the same for every link to it."""
        return self.device, self.inode


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
        self.unreadable = 0
        self.too_deep = 0
        self.stopped_early = False

    def files(self, root: Path) -> Iterator[Found]:
        """Yield what is called ``.gguf`` below ``root``, or ``root`` itself when it is a file."""
        try:
            status = root.stat()
        except (FileNotFoundError, NotADirectoryError):
            self.absent.append(root)
            return
        except OSError:
            self.unreadable += 1
            return
        if not stat.S_ISDIR(status.st_mode):
            yield found(root, status)
            return
        stack = [(root, 0)]
        while stack:
            folder, depth = stack.pop()
            below: list[Path] = []
            entries = self._entries_of(folder)
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
            if depth < MAX_DEPTH:
                stack.extend((path, depth + 1) for path in reversed(below))
            else:
                self.too_deep += len(below)

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
            self.unreadable += 1
            return []

    def _looked_at(self, entry: os.DirEntry[str], below: list[Path]) -> Found | None:
        """The file of an entry, if it may be a model; a folder goes to ``below``."""
        # macOS leaves a "._name" beside each file it copies to a foreign disk.
        named_so = entry.name.lower().endswith(SUFFIX) and not entry.name.startswith("._")
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
            self.unreadable += 1
            return None


def found(path: Path, status: os.stat_result) -> Found:
    """A file in the state it has now."""
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = "It is no regular file, so it is not opened."
    size_bytes = 0 if problem else status.st_size
    return Found(path, size_bytes, status.st_mtime_ns, status.st_dev, status.st_ino, problem)


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
