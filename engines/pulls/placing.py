"""Puts verified files where they belong, one step at a time that can be done again.

Every step is a rename or a link of something complete: after a crash at any of them the next run
finds either the old state or the new one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.journal import was_placed, write_placed
from modeldeck.engines.pulls.part_file import disk_trouble, journal_of, make_room
from modeldeck.engines.pulls.places import (
    part_path,
    parts_folder,
    repository_folder,
    resting_place,
)
from modeldeck.engines.pulls.types import Layout, Wanted, WantedFile
from modeldeck.engines.text import clean_line

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def is_here(wanted: Wanted, file: WantedFile) -> bool:
    """The file lies where it ends up, complete.

    Raises:
        PullError: another file lies there.
    """
    place = resting_place(wanted, file)
    try:
        size_bytes = place.stat().st_size
    except FileNotFoundError:
        return False
    except OSError as error:
        raise disk_trouble(place, error, 0) from error
    same_size = file.size_bytes in (None, size_bytes)
    if wanted.destination.layout is not Layout.FOLDER:
        return same_size  # its name is its digest; another size is a broken one
    if was_placed(journal_of(part_path(wanted, file)), place):
        return True
    if same_size:
        return _same_as_listed(place, file)
    raise _in_the_way(place)


def prepare(wanted: Wanted, missing: Sequence[WantedFile]) -> None:
    """Look whether there is room for all that is missing, and make the folders of the store.

    Raises:
        DiskFull: there is no room.
        PullError: the folders cannot be made.
    """
    folder = parts_folder(wanted)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if wanted.destination.layout is Layout.HUB_CACHE:  # without one its tools warn
            (repository_folder(wanted) / "snapshots").mkdir(exist_ok=True)
        held = sum(_allocated(part_path(wanted, file)) for file in missing)
    except OSError as error:
        raise disk_trouble(folder, error, 0) from error
    make_room(folder, sum(file.size_bytes or 0 for file in missing) - held)


def _allocated(part: Path) -> int:
    """Bytes that a part file takes already; the rest of it is a hole."""
    try:
        found = part.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return min(found.st_blocks * 512, found.st_size)


def _same_as_listed(place: Path, file: WantedFile) -> bool:
    """Raises PullError when the digest is known and another."""
    from modeldeck.engines.pulls.digests import Follower, digest_of

    expected = digest_of(file.sha256, file.state)
    if not expected.hex:
        raise _in_the_way(place)
    try:
        with place.open("rb") as there:
            size_bytes = os.fstat(there.fileno()).st_size
            follower = Follower(there.fileno(), size_bytes, expected)
            follower.follow(size_bytes, float("inf"))
    except OSError as error:
        raise disk_trouble(place, error, 0) from error
    if follower.hexdigest() != expected.hex:
        raise _in_the_way(place)
    return True


def settle(part: Path, wanted: Wanted, file: WantedFile) -> Path:
    """Move a complete, verified part file to where it ends up. Raises PullError.

    Its journal stays until all of the pull is published.
    """
    place = resting_place(wanted, file)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _refuse_ways_out(wanted.destination.folder, place.parent)
        _sync(part)
        part.chmod(0o644)
        write_placed(journal_of(part), part)
        part.replace(place)
        _sync(place.parent)
    except OSError as error:
        raise disk_trouble(place, error, 0) from error
    return place


def publish(wanted: Wanted) -> tuple[Path, ...]:
    """Make the whole pull visible to the programs of its store, once every file is settled.

    Returns:
        The paths under which they find it.

    Raises:
        PullError: the disk cannot be written, or something is in the way.
    """
    try:
        match wanted.destination.layout:
            case Layout.HUB_CACHE:
                return _publish_in_cache(wanted)
            case Layout.OLLAMA_STORE:
                return (_publish_manifest(wanted),)
            case _:
                return tuple(resting_place(wanted, file) for file in wanted.files)
    except OSError as error:
        raise disk_trouble(wanted.destination.folder, error, 0) from error


def _publish_in_cache(wanted: Wanted) -> tuple[Path, ...]:
    """Links in ``snapshots``, then the revision's name in ``refs``, as huggingface_hub does."""
    folder = repository_folder(wanted)
    snapshot = folder / "snapshots" / wanted.commit
    placed: list[Path] = []
    for file in wanted.files:
        link = snapshot.joinpath(*file.name.split("/"))
        link.parent.mkdir(parents=True, exist_ok=True)
        _refuse_ways_out(folder, link.parent)
        target = os.path.relpath(resting_place(wanted, file), link.parent)
        _link(target, link, part_path(wanted, file))
        placed.append(link)
    if wanted.revision != wanted.commit and not _COMMIT.fullmatch(wanted.revision):
        made = part_path(wanted, wanted.files[0])
        _write(folder / "refs" / wanted.revision, wanted.commit.encode(), made)
    return tuple(placed)


def _publish_manifest(wanted: Wanted) -> Path:
    """The manifest, byte for byte, under ``manifests/HOST/NAMESPACE/MODEL/TAG``."""
    place = wanted.destination.folder.joinpath(
        "manifests", *wanted.repository.split("/"), wanted.revision
    )
    _write(place, wanted.manifest, part_path(wanted, wanted.files[0]))
    return place


def _link(target: str, link: Path, made: Path) -> None:
    """A symbolic link, put in place of whatever was there; a copy where there are none."""
    with suppress(OSError):
        if str(link.readlink()) == target:
            return
    made.unlink(missing_ok=True)
    try:
        made.symlink_to(target)
    except OSError:
        _copy(link.parent / target, made)
    made.replace(link)
    _sync(link.parent)


def _copy(content: Path, made: Path) -> None:
    """A second name of the same content, or a copy on a file system that has no such names."""
    try:
        os.link(content, made)
    except OSError:
        shutil.copyfile(content, made)
        _sync(made)


def _write(place: Path, content: bytes, made: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    made.parent.mkdir(parents=True, exist_ok=True)
    made.unlink(missing_ok=True)
    made.write_bytes(content)
    _sync(made)
    made.replace(place)
    _sync(place.parent)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _refuse_ways_out(root: Path, folder: Path) -> None:
    """Raise PullError when a link on the way leads out of the store."""
    if not folder.resolve().is_relative_to(root.resolve()):
        raise PullError(
            f"{clean_line(str(folder), 120)} leads out of the folder it should be in.",
            "Remove the link on the way there.",
        )


def _in_the_way(place: Path) -> PullError:
    return PullError(
        f"Another file is at {clean_line(str(place), 200)}.",
        "Move it away, or pull into another folder.",
    )


def tidy(wanted: Wanted) -> None:
    """Remove what a pull that is published leaves behind, or one that was killed before."""
    for file in wanted.files:
        part = part_path(wanted, file)
        for path in (journal_of(part), part):
            with suppress(OSError):
                path.unlink()
    with suppress(OSError):
        parts_folder(wanted).rmdir()
