"""Finds the files of a folder that may be models: bounded, loop-proof, never opening any."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_DEPTH: Final = 12
MAX_ENTRIES: Final = 500_000
SUFFIX: Final = ".gguf"


@dataclass(slots=True)
class WalkCounts:
    """What a walk passed over."""

    unreadable: int = 0
    not_regular: int = 0
    too_deep: int = 0
    stopped_early: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file and its state when it was found."""

    path: Path
    size_bytes: int
    mtime_ns: int
    device: int
    inode: int


def walk(root: Path, counts: WalkCounts, should_stop: Callable[[], bool]) -> Iterator[Found]:
    """Yield the regular ``.gguf`` files at or below ``root``, folder by folder, names sorted.

    Links are followed; a folder is entered once however many ways lead to it. What cannot be
    read, and what only looks like a model (a FIFO, a device), is counted.
    """
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[Path, int]] = [(root, 0)]
    entries = 0
    while stack:
        folder, depth = stack.pop()
        if should_stop():
            return
        try:
            status = folder.stat()
            if stat.S_ISREG(status.st_mode) and depth == 0:
                yield _found(folder, status)
                continue
            if not stat.S_ISDIR(status.st_mode) or (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                names = sorted(listing, key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError:
            counts.unreadable += 1
            continue
        below: list[tuple[Path, int]] = []
        for entry in names:
            entries += 1
            if entries > MAX_ENTRIES:
                counts.stopped_early = True
                return
            try:
                if entry.is_dir():
                    if depth + 1 <= MAX_DEPTH:
                        below.append((Path(entry.path), depth + 1))
                    else:
                        counts.too_deep += 1
                    continue
                if not entry.name.lower().endswith(SUFFIX):
                    continue
                status = entry.stat()
            except FileNotFoundError:
                continue
            except OSError:
                counts.unreadable += 1
                continue
            if stat.S_ISREG(status.st_mode):
                yield _found(Path(entry.path), status)
            else:
                counts.not_regular += 1
        stack.extend(reversed(below))


def _found(path: Path, status: os.stat_result) -> Found:
    return Found(path, status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino)
