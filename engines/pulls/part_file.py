"""The file that a transfer writes into: one writer, room on the disk, errors in words."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from modeldeck.engines.pulls.errors import Busy, DiskFull, PullError
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import MIB

PART: Final = ".part"
"""How the names of such files end."""

JOURNAL: Final = ".journal"
_KEPT_FREE_BYTES: Final = 16 * MIB
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def journal_of(part: Path) -> Path:
    """Where the journal of a part file is."""
    return part.with_name(f"{part.name}{JOURNAL}")


@contextmanager
def locked_part(path: Path) -> Generator[int]:
    """A part file, made where there is none, which nobody else writes while the block runs.

    Raises:
        Busy: another process has it.
        PullError: it cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, flags, 0o600)
        except OSError as error:
            raise disk_trouble(path, error, 0) from error
        try:
            if _locked(file, path):
                yield file
                return
        finally:
            os.close(file)


def remove_part(path: Path) -> None:
    """Take a part file and its journal away, unless somebody writes it. Never raises."""
    with suppress(PullError, OSError):
        if path.is_file():
            with locked_part(path):
                journal_of(path).unlink(missing_ok=True)
                path.unlink(missing_ok=True)
        else:
            journal_of(path).unlink(missing_ok=True)
        path.parent.rmdir()


def _locked(file: int, path: Path) -> bool:
    """Lock it; False when it was moved to its place in the meantime. Raises Busy."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy(
            "Another program downloads this file now.", "Wait for it, then try again."
        ) from error
    except OSError:
        return True  # a file system without locks
    try:
        return os.path.samestat(os.fstat(file), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def make_room(folder: Path, missing_bytes: int) -> None:
    """Raise ``DiskFull`` where the file system has no room for so much more."""
    try:
        there = os.statvfs(folder)
    except OSError as error:
        raise disk_trouble(folder, error, 0) from error
    free = there.f_bavail * there.f_frsize
    if missing_bytes > 0 and missing_bytes + _KEPT_FREE_BYTES > free:
        raise DiskFull(str(folder), missing_bytes + _KEPT_FREE_BYTES - free)


def write_at(file: int, data: bytes, at: int, path: Path) -> None:
    """Write all of it, however little the kernel takes at a time. Raises PullError."""
    view = memoryview(data)
    while view:
        try:
            count = os.pwrite(file, view, at)
        except OSError as error:
            raise disk_trouble(path, error, len(view)) from error
        view = view[count:]
        at += count


def disk_trouble(path: Path, error: OSError, missing_bytes: int) -> PullError:
    """What an error of the disk means; ``missing_bytes`` is what still had to be written."""
    if error.errno in _FULL:
        return DiskFull(str(path.parent), max(missing_bytes, 1))
    return PullError(
        f"{clean_line(str(path.parent), 120)} cannot be written"
        f" ({clean_line(error.strerror or str(error), 80)}).",
        "Look at its permissions, or choose another folder.",
    )
