"""What file systems can do for two files with the same content."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from modeldeck.engines.house.duplicates import Method

_FICLONE: Final = 0x40049409
_FIEMAP: Final = 0xC020660B
"""``ioctl`` numbers of ``linux/fs.h``; the same on every architecture but MIPS, PowerPC, SPARC."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
_REFLINK: Final = frozenset({"btrfs", "xfs", "bcachefs", "ocfs2"})
_NEITHER: Final = frozenset({"vfat", "exfat", "msdos", "fuseblk", "9p", "cifs", "smb3"})
_MOST_EXTENTS: Final = 64
_EXTENT: Final = struct.Struct("=QQQ16xI12x")
_UNSURE: Final = 0x2 | 0x4 | 0x200
"""Flags of an extent whose place says nothing: unknown, not written yet, inside the metadata."""


def methods_of(
    folders: Iterable[Path], wanted: Method | None = None, mounts: Path = _MOUNTS
) -> dict[int, Method]:
    """How files can share bytes, by device: as wanted, else a reflink where there are some.

    A device whose file system knows neither is left out. That a reflink can really be made is
    known when it is.
    """
    kinds = _kinds(mounts)
    found: dict[int, Method] = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            device = folder.stat().st_dev
            kind = kinds.get(device, "")
            if kind not in _NEITHER:
                best = Method.REFLINK if kind in _REFLINK else Method.HARD_LINK
                found[device] = wanted or best
    return found


def _kinds(mounts: Path) -> dict[int, str]:
    """The kind of file system by device, as the kernel lists them (``proc(5)``)."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in mounts.read_text("utf-8", "replace").splitlines():
            before, _, after = line.partition(" - ")
            kind, mounted = after.split(" ")[0], before.split(" ")[4]
            if kind in _REFLINK:  # a subvolume of btrfs has a device of its own
                with contextlib.suppress(OSError):
                    found[Path(mounted.encode().decode("unicode_escape")).stat().st_dev] = kind
            major, minor = before.split(" ")[2].split(":")
            found.setdefault(os.makedev(int(major), int(minor)), kind)
    return found


def reflink(source: int, target: int) -> None:
    """Make the empty file ``target`` share the blocks of ``source``. Raises OSError."""
    if not sys.platform.startswith("linux"):
        raise OSError("reflinks are made on Linux only")
    fcntl.ioctl(target, _FICLONE, source)


def share_blocks(one: int, two: int) -> bool:
    """Whether two open files lie in the very same blocks; False where that cannot be told."""
    first = _extents(one)
    return bool(first) and first == _extents(two)


def _extents(descriptor: int) -> list[tuple[int, int, int]]:
    """Where the first pieces of a file lie: logical and physical place and length, in bytes."""
    header = struct.pack("=QQIIII", 0, (1 << 64) - 1, 0, 0, _MOST_EXTENTS, 0)
    buffer = bytearray(header + bytes(_MOST_EXTENTS * 56))
    try:
        fcntl.ioctl(descriptor, _FIEMAP, buffer)
    except OSError:
        return []
    (mapped,) = struct.unpack_from("=I", buffer, 20)
    found: list[tuple[int, int, int]] = []
    for at in range(min(mapped, _MOST_EXTENTS)):
        logical, physical, length, flags = _EXTENT.unpack_from(buffer, 32 + at * 56)
        if flags & _UNSURE or not physical:
            return []
        found.append((logical, physical, length))
    return found
