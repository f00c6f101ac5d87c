"""Carries out a merge: one name after the other, each compared right before and replaced at once.

A name always leads to its content: the file that takes its place is complete beside it before it is
renamed over it. A program that has the old file open keeps it until it ends. What is about to
change is in the journal, synced, before it changes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.house.contents import open_file, same_content
from modeldeck.engines.house.duplicates import BESIDE, Kept, Merge, Method, Replacement
from modeldeck.engines.house.file_systems import reflink
from modeldeck.engines.house.journal import Change, Journal
from modeldeck.engines.house.stock import Entry, Identity
from modeldeck.engines.house.trash import sync_folder
from modeldeck.engines.text import clean_line


@dataclass(frozen=True, slots=True)
class Merged:
    """What was done.

    Attributes:
        run: that ``--undo`` takes back; empty when nothing changed.
        replaced: names that share another file's bytes now.
        kept: names that stayed, and why.
        saved_bytes: that the disk got back, once no program has the old files open.
    """

    run: str
    replaced: tuple[Path, ...]
    kept: tuple[Kept, ...]
    saved_bytes: int


def merge(
    plan: Merge,
    journal: Journal,
    now: float,
    on_next: Callable[[Replacement], None] = lambda _: None,
) -> Merged:
    """Carry out a plan. What is not as planned by now stays as it is.

    Raises:
        HouseError: the journal cannot be written; nothing more is changed then.
    """
    replaced: list[Path] = []
    kept: list[Kept] = []
    saved = 0
    compared: set[tuple[Identity, Identity]] = set()
    run = journal.begin(now)
    for one in plan.replacements:
        on_next(one)
        try:
            reason = _replace(one, run, journal, compared)
        except OSError as error:
            reason = f"{clean_line(error.strerror or str(error))}."
        if reason:
            kept.append(Kept(one.path, reason))
        else:
            replaced.append(one.path)
            saved += one.saved_bytes
    return Merged(run if replaced else "", tuple(replaced), tuple(kept), saved)


def _replace(
    one: Replacement, run: str, journal: Journal, compared: set[tuple[Identity, Identity]]
) -> str:
    """Replace one name. Returns why not, or nothing. Raises OSError."""
    with open_file(one.keep) as source, open_file(one.path) as old:
        if not _is(os.fstat(source), one.kept) or not _is(os.fstat(old), one.entry):
            return "It changed since it was looked at."
        pair = one.kept.identity, one.entry.identity
        if pair not in compared:
            if not same_content(source, old):
                return "Its content is not the same after all."
            compared.add(pair)
        beside = one.path.with_name(f"{BESIDE}{secrets.token_hex(8)}")
        change = Change.of(one, beside, os.fstat(old))
        journal.about_to(run, change)
        try:
            if one.method is Method.HARD_LINK:
                os.link(one.keep, beside, follow_symlinks=False)
                if not _is(beside.lstat(), one.kept):
                    return "It changed since it was looked at."
            else:
                _clone(source, beside, os.fstat(old))
            if not _is(os.fstat(source), one.kept) or not _is(one.path.lstat(), one.entry):
                return "It changed while it was compared."
            beside.rename(one.path)
        finally:
            beside.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            sync_folder(one.path.parent)
        journal.done(run, change)
    return ""


def _clone(source: int, beside: Path, like: os.stat_result) -> None:
    """A file with the blocks of ``source`` and the owner, rights and times of ``like``."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    target = os.open(beside, flags, 0o600)
    try:
        reflink(source, target)
        dress(target, like)
        os.fsync(target)
    finally:
        os.close(target)


def dress(target: int, like: os.stat_result) -> None:
    """Give an open file the owner, rights and times of another. Raises OSError."""
    mine = os.fstat(target)
    if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(target, like.st_uid, like.st_gid)
    os.fchmod(target, stat.S_IMODE(like.st_mode))
    os.utime(target, ns=(like.st_atime_ns, like.st_mtime_ns))


def _is(status: os.stat_result, entry: Entry) -> bool:
    """Whether a file is the one that was looked at, unchanged."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns) == (
        entry.device,
        entry.inode,
        entry.size_bytes,
        entry.mtime_ns,
    )
