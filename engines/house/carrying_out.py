"""Carries a removal out: into the trash or for good, name by name, each checked right before."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.house.removal import GoingName, Removal
from modeldeck.engines.house.trash import Bin, open_bin, sync_folder, trash_for
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Source


@dataclass(frozen=True, slots=True)
class Removed:
    """What was done.

    Attributes:
        names: how many names went.
        freed_bytes: that the disk got back, or gets back when the trash is emptied.
        trash: the removal's id in the trash; empty when it was for good.
    """

    names: int
    freed_bytes: int
    trash: str = ""


def check(removal: Removal) -> None:
    """Whether the removal may be carried out, now. Changes nothing.

    Raises:
        HouseError: a file is another one by now, or this user may not delete it.
    """
    for name in removal.names:
        _same(name)
        folder = name.path.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise HouseError(
                f"You may not delete files in {clean_line(str(folder))}.",
                "Ask its owner to, or delete it with the program that keeps it.",
            )


def delete_for_good(removal: Removal) -> Removed:
    """Delete every name. Raises HouseError."""
    check(removal)
    for name in removal.names:
        _same(name)
        try:
            name.path.unlink()
        except OSError as error:
            raise _stopped(name.path, error, "Look again: modeldeck prune.") from error
    _remove_empty(removal.folders)
    return Removed(len(removal.names), removal.freed_bytes)


def move_to_trash(
    removal: Removal, places: Sequence[Place], home_trash: Path, now: float
) -> Removed:
    """Move every name into a trash on its own file system.

    What is done when it is cut short anywhere: all names that were moved are in the record of the
    trash, and ``trash.put_back`` brings them back.

    Raises:
        HouseError: it may not be done, or was cut short.
    """
    check(removal)
    removal_id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}-{secrets.token_hex(3)}"
    by_trash: dict[Path, list[GoingName]] = {}
    for name in removal.names:
        trash = trash_for(name.path, _place_of(name.path, places), home_trash)
        by_trash.setdefault(trash, []).append(name)
    opened: list[tuple[Bin, list[GoingName]]] = []
    for number, (trash, names) in enumerate(by_trash.items()):
        freed = 0 if number else removal.freed_bytes
        paths = [name.path for name in names]
        try:
            one = open_bin(trash, removal_id, now, removal.titles, paths, freed)
        except OSError as error:
            raise _stopped(trash, error, "Delete it for good: modeldeck rm --for-good.") from error
        opened.append((one, names))
    stored = {b.path: b.stored for one, _ in opened for b in one.names}
    for name in removal.names:
        _same(name)
        try:
            name.path.rename(stored[name.path])
        except OSError as error:
            step = "Bring back what was moved: modeldeck rm --undo."
            raise _stopped(name.path, error, step) from error
    for one, _ in opened:
        with contextlib.suppress(OSError):
            sync_folder(one.folder)
    _remove_empty(removal.folders)
    return Removed(len(removal.names), removal.freed_bytes, removal_id)


def _same(name: GoingName) -> None:
    """Raises HouseError where a path names another file than it did when the plan was made."""
    try:
        status = name.path.lstat()
        same = (status.st_dev, status.st_ino) == (name.device, name.inode)
        same = same and status.st_size == name.size_bytes
    except OSError:
        same = False
    if not same:
        raise HouseError(
            f"{clean_line(str(name.path))} is not what it was a moment ago.",
            "Look again and repeat it.",
        )


def _stopped(path: Path, error: OSError, next_step: str) -> HouseError:
    reason = clean_line(error.strerror or str(error))
    return HouseError(
        f"{clean_line(str(path))} could not be moved or deleted: {reason}.", next_step
    )


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _place_of(path: Path, places: Sequence[Place]) -> Place:
    """The innermost store that a file lies in; its folder where it lies in none."""
    above = [place for place in places if place.path in path.parents]
    return max(
        above, key=lambda place: len(place.path.parts), default=Place(Source.FOLDER, path.parent)
    )
