"""Takes a merge back: names that share a file get a file of their own again."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modeldeck.engines.house.contents import open_file, sha256_of
from modeldeck.engines.house.duplicates import BESIDE
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.house.file_systems import reflink
from modeldeck.engines.house.journal import Change, Journal, Run
from modeldeck.engines.house.trash import sync_folder
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import file_size

_SPARE_BYTES: Final = 64 << 20
_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Undone:
    """What was done.

    Attributes:
        paths: names that have a file of their own again.
        remarks: sentences about names that need none, or could not get one.
    """

    paths: tuple[Path, ...]
    remarks: tuple[str, ...]


def undo(run: Run, journal: Journal) -> Undone:
    """Take a run back. Cut short, it can be asked for again.

    Raises:
        HouseError: there is too little room, or the journal cannot be written.
    """
    paths: list[Path] = []
    remarks: list[str] = []
    failed = False
    for change in reversed(run.changes):
        Path(change.beside).unlink(missing_ok=True)
        path = Path(change.path)
        try:
            if not change.is_hard_link:
                remarks.append(f"{clean_line(change.path)} is a file of its own already.")
            elif _shares(change):
                _own_file(change)
                paths.append(path)
        except OSError as error:
            failed = True
            reason = clean_line(error.strerror or str(error))
            remarks.append(f"{clean_line(change.path)} stays as it is: {reason}.")
    if not failed:
        journal.undone(run.id)
    return Undone(tuple(paths), tuple(remarks))


def _shares(change: Change) -> bool:
    """Whether the name still leads to the shared file, and that has another name."""
    try:
        status = Path(change.path).lstat()
    except FileNotFoundError:
        return False
    same = (status.st_dev, status.st_ino) == (change.device, change.inode)
    return same and status.st_nlink > 1


def _own_file(change: Change) -> None:
    """Give the name a copy of the content, checked, with what it had before. Raises OSError."""
    path = Path(change.path)
    beside = path.with_name(f"{BESIDE}{secrets.token_hex(8)}")
    try:
        with open_file(path) as source:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            target = os.open(beside, flags, 0o600)
            try:
                _copy(source, target, path, change.size_bytes)
                mine = os.fstat(target)
                if (mine.st_uid, mine.st_gid) != (change.owner, change.group):
                    os.fchown(target, change.owner, change.group)
                os.fchmod(target, change.mode)
                os.utime(target, ns=(change.atime_ns, change.mtime_ns))
                os.fsync(target)
            finally:
                os.close(target)
        if sha256_of(beside) != change.sha256:
            raise OSError("its content is not what it was then")
        beside.rename(path)
        sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _copy(source: int, target: int, path: Path, size_bytes: int) -> None:
    try:
        reflink(source, target)
        return
    except OSError:
        free = shutil.disk_usage(path.parent).free
    if free < size_bytes + _SPARE_BYTES:
        raise HouseError(
            f"A copy of {clean_line(str(path))} takes {file_size(size_bytes)}, "
            f"and {file_size(free)} are free.",
            "Make room and repeat it: modeldeck dedupe --undo.",
        )
    while block := os.read(source, _BLOCK_BYTES):
        view = memoryview(block)
        while view:
            view = view[os.write(target, view) :]
