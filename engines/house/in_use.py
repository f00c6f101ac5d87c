"""Which processes have a file open or mapped: what ``/proc`` says to this user. Linux only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from modeldeck.engines.house.stock import Identity
from modeldeck.engines.text import clean_line

_PROC: Final = Path("/proc")


def holders_of(files: Iterable[Identity], proc: Path = _PROC) -> dict[Identity, tuple[str, ...]]:
    """Processes by the file of ``files`` that they hold, each as ``name (pid)``.

    Looks at mappings (``/proc/PID/maps``) and open descriptors (``/proc/PID/fd``). Processes
    of other users are not seen without rights, so that nobody found does not mean nobody there.
    """
    wanted = set(files)
    found: dict[Identity, list[str]] = {}
    with contextlib.suppress(OSError):
        for process in proc.iterdir():
            if process.name.isdecimal():
                for identity in _held(process) & wanted:
                    found.setdefault(identity, []).append(_name(process))
    return {identity: tuple(sorted(names)) for identity, names in found.items()}


def _held(process: Path) -> set[Identity]:
    held: set[Identity] = set()
    with contextlib.suppress(OSError), os.scandir(process / "fd") as descriptors:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                status = descriptor.stat()
                held.add((status.st_dev, status.st_ino))
    with contextlib.suppress(OSError), (process / "maps").open("rb") as maps:
        for line in maps:
            words = line.split(None, 5)
            if len(words) > 5 and words[4] != b"0":
                major, minor = (int(part, 16) for part in words[3].split(b":"))
                held.add((os.makedev(major, minor), int(words[4])))
    return held


def _name(process: Path) -> str:
    try:
        name = clean_line((process / "comm").read_text("utf-8", "replace"), 40)
    except OSError:
        name = "a process"
    return f"{name} ({process.name})"
