"""What a walk finds: files, and folders that are one model, in the state they had then."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple


class Found(NamedTuple):
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


class FoundFolder(NamedTuple):
    """A folder whose files are one model, as Hugging Face publishes them.

    Attributes:
        path: the folder.
        weights: the files with weights, in the order of their names; never empty.
        papers: ``config.json`` and whatever else describes the weights.
        missing: numbers of the parts that are not there.
        parts: how many parts there should be.
        pickles: the weights are pickles, which are not opened.
        companion: it goes with a model and is none: an adapter, a part of a pipeline.
    """

    path: Path
    weights: tuple[Found, ...]
    papers: tuple[Found, ...]
    missing: tuple[int, ...] = ()
    parts: int = 1
    pickles: bool = False
    companion: bool = False


def found(path: Path, status: os.stat_result) -> Found:
    """A file in the state it has now."""
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = "It is no regular file, so it is not opened."
    size_bytes = 0 if problem else status.st_size
    return Found(path, size_bytes, status.st_mtime_ns, status.st_dev, status.st_ino, problem)
