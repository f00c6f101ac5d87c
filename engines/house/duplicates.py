"""What is stored twice: what may be, what is, and what one copy would save. Pure.

Candidates have the same size and the same first and last bytes; twins have the same SHA-256.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from modeldeck.engines.house.stock import Entry, Identity, Stock
from modeldeck.engines.house.unnamed import is_going_on
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Source

BESIDE: Final = ".modeldeck-"
"""How the file that is about to take a name's place is called."""

LEAST_BYTES: Final = 1 << 20
"""Smaller files are not worth it."""


_BY_DIGEST: Final = frozenset({Source.OLLAMA, Source.HUGGING_FACE})
_WEIGHTS: Final = (".gguf", ".llamafile", ".safetensors")


class Method(StrEnum):
    """How two files come to share their bytes.

    A hard link is one file with two names; what changes one changes both. A reflink is two files
    that share blocks until one is written to (``ioctl_ficlone(2)``).
    """

    HARD_LINK = "hardlink"
    REFLINK = "reflink"


@dataclass(frozen=True, slots=True)
class Content:
    """One physical file with all its names in the stores.

    Attributes:
        names: every entry of it.
        sha256: of what it holds, in hex.
    """

    names: tuple[Entry, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """One name that would share the bytes of another file.

    Attributes:
        entry: the name, as it was when the plan was made.
        kept: a name of the file whose bytes stay, as it was then.
        sha256: of both, in hex.
        method: how.
        saved_bytes: with this name; the last name of a file has all of it.
    """

    entry: Entry
    kept: Entry
    sha256: str
    method: Method
    saved_bytes: int

    @property
    def path(self) -> Path:
        """The name."""
        return self.entry.path

    @property
    def keep(self) -> Path:
        """The name of the file whose bytes stay."""
        return self.kept.path


@dataclass(frozen=True, slots=True)
class Kept:
    """A duplicate that stays as it is.

    Attributes:
        path: its name.
        reason: why, a sentence.
    """

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Twins:
    """All copies of one content.

    Attributes:
        sha256: of it, in hex.
        size_bytes: of one copy.
        keep: the copies that keep their bytes, one for each disk.
        replacements: names that would share them.
        kept: copies that stay, and why.
    """

    sha256: str
    size_bytes: int
    keep: tuple[Path, ...]
    replacements: tuple[Replacement, ...]
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True)
class Merge:
    """The plan: the largest gain first."""

    twins: tuple[Twins, ...]

    @property
    def saved_bytes(self) -> int:
        """What the disk gets back."""
        return sum(one.saved_bytes for one in self.replacements)

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        """Every name that would change."""
        return tuple(one for twins in self.twins for one in twins.replacements)


def same_sizes(stock: Stock, least_bytes: int = LEAST_BYTES) -> list[list[tuple[Entry, ...]]]:
    """Physical files with the same size, several to a group; each with all its names.

    A download that is going on is none of them, and of folders that are not kept by digest only
    files of weights are: others are the user's own.
    """
    by_size: dict[int, list[tuple[Entry, ...]]] = {}
    for names in stock.by_identity.values():
        sound = all(_may_be_shared(name) for name in names)
        if names[0].size_bytes >= least_bytes and sound:
            by_size.setdefault(names[0].size_bytes, []).append(names)
    return [by_size[size] for size in sorted(by_size, reverse=True) if len(by_size[size]) > 1]


def _may_be_shared(entry: Entry) -> bool:
    name = entry.path.name
    if is_going_on(entry) or "-partial" in name or name.startswith(BESIDE):
        return False
    return entry.source in _BY_DIGEST or name.lower().endswith(_WEIGHTS)


def plan_merge(
    contents: Iterable[Content],
    methods: Mapping[int, Method],
    shared: Iterable[frozenset[Identity]] = (),
) -> Merge:
    """Which names would share which file.

    On each file system one copy is kept: that of a store which names it by its digest, else the
    one with most names, else the oldest.

    Args:
        contents: physical files, each once, whose digest is known.
        methods: how, by device; a device that is not in it can share nothing.
        shared: physical files that share their blocks already.
    """
    by_digest: dict[str, list[Content]] = {}
    for content in contents:
        by_digest.setdefault(content.sha256, []).append(content)
    together = list(shared)
    twins = [_twins(group, methods, together) for group in by_digest.values() if len(group) > 1]
    return Merge(tuple(sorted(twins, key=lambda one: (-_saved(one), one.sha256))))


def _saved(twins: Twins) -> int:
    return sum(one.saved_bytes for one in twins.replacements)


def _twins(
    group: Sequence[Content],
    methods: Mapping[int, Method],
    shared: Sequence[frozenset[Identity]],
) -> Twins:
    by_device: dict[int, list[Content]] = {}
    for content in group:
        by_device.setdefault(content.names[0].device, []).append(content)
    keep: list[Path] = []
    replacements: list[Replacement] = []
    kept: list[Kept] = []
    for device, copies in by_device.items():
        first, *others = sorted(copies, key=_worth_keeping)
        keep.append(first.names[0].path)
        for other in others:
            reason = _why_not(first, other, methods.get(device), shared)
            if reason:
                kept += [Kept(name.path, reason) for name in other.names]
            else:
                replacements += _replaced(first, other, methods[device])
    if len(by_device) > 1:
        kept += [Kept(path, "It is on another file system.") for path in keep[1:]]
    digest, size_bytes = group[0].sha256, group[0].names[0].size_bytes
    return Twins(digest, size_bytes, tuple(keep), tuple(replacements), tuple(kept))


def _worth_keeping(content: Content) -> tuple[int, int, int, str]:
    named_by_digest = any(content.sha256 in name.path.name for name in content.names)
    first = content.names[0]
    return int(not named_by_digest), -first.links, first.mtime_ns, str(first.path)


def _why_not(
    first: Content, other: Content, method: Method | None, shared: Sequence[frozenset[Identity]]
) -> str:
    """Why a copy must stay, a sentence; empty when it need not."""
    one, two = first.names[0], other.names[0]
    if any({one.identity, two.identity} <= files for files in shared):
        return f"It shares its blocks with {clean_line(str(one.path))} already."
    if method is None:
        return "Its file system knows neither hard links nor reflinks."
    if two.links > len(other.names):
        return "It has a name outside the stores too, so nothing would be saved."
    same_rights = (one.owner, one.group, stat.S_IMODE(one.mode)) == (
        two.owner,
        two.group,
        stat.S_IMODE(two.mode),
    )
    if method is Method.HARD_LINK and not same_rights:
        return f"Its owner or rights differ from those of {clean_line(str(one.path))}."
    return ""


def _replaced(first: Content, other: Content, method: Method) -> list[Replacement]:
    last = len(other.names) - 1
    return [
        Replacement(
            name,
            first.names[0],
            first.sha256,
            method,
            name.allocated_bytes if at == last else 0,
        )
        for at, name in enumerate(other.names)
    ]
