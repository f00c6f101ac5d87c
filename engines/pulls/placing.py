"""Puts verified files where they belong, one step at a time that can be done again.

Every step is a rename or a link of something complete: after a crash at any of them the next run
finds either the old state or the new one.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.part_file import disk_trouble, journal_of
from modeldeck.engines.pulls.places import repository_folder, resting_place
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
    if file.size_bytes is None or size_bytes == file.size_bytes:
        if wanted.destination.layout is not Layout.FOLDER:
            return True  # its name is its digest
        return _same_as_listed(place, file)
    if wanted.destination.layout is not Layout.FOLDER:
        return False  # somebody left a broken one
    raise _in_the_way(place)


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
    """Move a complete, verified part file to where it ends up. Raises PullError."""
    place = resting_place(wanted, file)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _refuse_ways_out(wanted.destination.folder, place.parent)
        _sync(part)
        part.chmod(0o644)
        part.replace(place)
        _sync(place.parent)
        journal_of(part).unlink(missing_ok=True)
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
        _link(os.path.relpath(resting_place(wanted, file), link.parent), link)
        placed.append(link)
    if wanted.revision != wanted.commit and not _COMMIT.fullmatch(wanted.revision):
        _write(folder / "refs" / wanted.revision, wanted.commit.encode())
    return tuple(placed)


def _publish_manifest(wanted: Wanted) -> Path:
    """The manifest, byte for byte, under ``manifests/HOST/NAMESPACE/MODEL/TAG``."""
    place = wanted.destination.folder.joinpath(
        "manifests", *wanted.repository.split("/"), wanted.revision
    )
    _write(place, wanted.manifest)
    return place


def _link(target: str, link: Path) -> None:
    """A symbolic link, put in place of whatever was there; a hard link where there are none."""
    with suppress(OSError):
        if str(link.readlink()) == target:
            return
    made = link.with_name(f".{secrets.token_hex(8)}")
    try:
        made.symlink_to(target)
    except OSError:
        os.link(link.parent / target, made)
    made.replace(link)
    _sync(link.parent)


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    made = place.with_name(f".{secrets.token_hex(8)}")
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


def tidy(folders: Iterable[Path]) -> None:
    """Remove folders of part files that have become empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
