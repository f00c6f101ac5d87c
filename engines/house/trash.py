"""The trash: a folder on the same file system, from which a removal can be undone for some days.

One removal is a folder ``ID/`` in it: ``removal.json``, written and synced before the first name is
moved, and the files under numbers, so that nothing that looks for models takes them for some.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.house.stock import TRASH
from modeldeck.engines.paths import private_dir
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Source

FOLDER: Final = f"{TRASH}{{user}}"
"""How a trash is called that is not in the user's home: each user has one."""

RECORD: Final = "removal.json"
DAYS: Final = 14
"""How long the trash keeps what was deleted, unless set otherwise."""

_GOING: Final = ".emptying"
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Binned:
    """One name in the trash.

    Attributes:
        path: where it was.
        stored: its file in the trash.
    """

    path: Path
    stored: Path


@dataclass(frozen=True, slots=True)
class Bin:
    """One removal in one trash.

    Attributes:
        id: of the removal; the same in every trash that it needed.
        folder: in the trash.
        at: when, in seconds since 1970.
        titles: what was deleted.
        names: all that was to be moved, in order, whether it was or not.
        freed_bytes: that emptying gives back, as planned.
    """

    id: str
    folder: Path
    at: float
    titles: tuple[str, ...]
    names: tuple[Binned, ...]
    freed_bytes: int


def trash_for(path: Path, place: Place, home_trash: Path) -> Path:
    """The trash for a file: the user's own, or beside or in the store, on the same file system.

    Raises:
        HouseError: there can be none.
    """
    device = path.parent.stat().st_dev
    for folder in trashes([place], home_trash):
        above = next(one for one in (folder, *folder.parents) if one.is_dir())
        usable = os.access(above, os.W_OK | os.X_OK) and (above != folder or is_mine(folder))
        if usable and above.stat().st_dev == device and not folder.is_symlink():
            return folder
    raise HouseError(
        f"There is no place for a trash on the disk of {clean_line(str(path))}.",
        "Delete it for good: modeldeck rm --for-good.",
    )


def trashes(places: Iterable[Place], home_trash: Path) -> list[Path]:
    """Where a trash may be for these stores.

    Never in Ollama's store nor in the Hugging Face cache, whose tools take offence at it.
    """
    found = [home_trash]
    for place in places:
        root = Path(os.path.realpath(place.path))
        name = FOLDER.format(user=os.getuid())
        found.append(root.parent / name)
        if place.source not in (Source.OLLAMA, Source.HUGGING_FACE):
            found.append(root / name)
    return list(dict.fromkeys(found))


def is_mine(trash: Path) -> bool:
    """Whether a trash is this user's alone: what its records say is done.

    Another user's, made beside a store that several use, is never looked into.
    """
    try:
        status = trash.lstat()
    except OSError:
        return False
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return mine and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def open_bin(
    trash: Path,
    removal_id: str,
    at: float,
    titles: Sequence[str],
    paths: Sequence[Path],
    freed_bytes: int,
) -> Bin:
    """A new bin whose record is safe on the disk. Raises OSError."""
    folder = private_dir(trash) / removal_id
    folder.mkdir(mode=0o700)
    names = tuple(Binned(path, folder / f"{at:05}") for at, path in enumerate(paths))
    record = {
        "version": 1,
        "at": at,
        "titles": list(titles),
        "names": [{"path": str(one.path), "stored": one.stored.name} for one in names],
        "freed_bytes": freed_bytes,
    }
    with (folder / RECORD).open("x") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
    sync_folder(trash)
    return Bin(removal_id, folder, at, tuple(titles), names, freed_bytes)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def bins(trash_folders: Iterable[Path]) -> list[Bin]:
    """Every removal in these trashes, the newest first."""
    found = [one for trash in trash_folders for one in _bins_in(trash)]
    return sorted(found, key=lambda one: (-one.at, one.id))


def _bins_in(trash: Path) -> Iterator[Bin]:
    if not is_mine(trash):
        return
    with contextlib.suppress(OSError):
        for folder in sorted(trash.iterdir()):
            if folder.suffix != _GOING:
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    yield _read(folder)


def _read(folder: Path) -> Bin:
    record = cast("dict[str, Any]", json.loads((folder / RECORD).read_bytes()))
    names = [
        Binned(Path(one["path"]), folder / Path(one["stored"]).name) for one in record["names"]
    ]
    if any(not one.stored.name.isdecimal() or not one.path.is_absolute() for one in names):
        raise ValueError("not a record of ours")
    titles = tuple(clean_line(str(title)) for title in record["titles"])
    freed = int(record["freed_bytes"])
    return Bin(folder.name, folder, float(record["at"]), titles, tuple(names), freed)


def put_back(bin_: Bin) -> tuple[int, tuple[str, ...]]:
    """Undo one removal: move back what it moved; what is there by now is not overwritten.

    Content comes back before what names it. Cut short, it can be asked for again.

    Returns:
        How many names came back, and sentences about those that could not.

    Raises:
        OSError: the disk or the rights do not allow it.
    """
    back = 0
    remarks: list[str] = []
    for one in reversed(bin_.names):
        if not os.path.lexists(one.stored):
            continue
        one.path.parent.mkdir(parents=True, exist_ok=True)
        if _moved_without_overwriting(one.stored, one.path):
            back += 1
        else:
            remarks.append(f"Not put back, something is there by now: {clean_line(str(one.path))}.")
    if not remarks:
        _discard(bin_.folder)
    return back, tuple(remarks)


def _moved_without_overwriting(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return _one_file(source, target)
    except OSError:  # a file system without hard links, or a file of another user
        if os.path.lexists(target):
            return False
        source.rename(target)
        return True
    source.unlink()
    return True


def _one_file(source: Path, target: Path) -> bool:
    """Whether an undo that was cut short left both names of one file; the stored one goes then."""
    here, there = source.lstat(), target.lstat()
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
        return False
    source.unlink()
    return True


def empty(trash_folders: Iterable[Path], now: float, days: float = DAYS) -> int:
    """Delete for good what was put into the trash more than ``days`` days before ``now``.

    Cut short, it goes on the next time. What may not be deleted is passed over.

    Returns:
        Bytes that this gave back, as planned when they were deleted.
    """
    freed = 0
    for trash in filter(is_mine, trash_folders):
        with contextlib.suppress(OSError):
            for folder in list(trash.glob(f"*{_GOING}")):
                shutil.rmtree(folder)
            for folder in trash.iterdir():
                if {path.name for path in folder.iterdir()} <= {RECORD} and _is_old(folder, now):
                    shutil.rmtree(folder)  # cut short before anything was moved, or all came back
        for one in _bins_in(trash):
            if now - one.at > days * _DAY_SECONDS:
                with contextlib.suppress(OSError):
                    _discard(one.folder)
                    freed += one.freed_bytes
    return freed


def _is_old(folder: Path, now: float) -> bool:
    return now - folder.stat().st_mtime > _DAY_SECONDS


def _discard(folder: Path) -> None:
    """Delete a bin, so that one half deleted is never taken for a whole one."""
    going = folder.with_name(folder.name + _GOING)
    folder.rename(going)
    shutil.rmtree(going)
    with contextlib.suppress(OSError):
        going.parent.rmdir()
