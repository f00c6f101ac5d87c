"""What a process holds that it could leak, counted: for before and after."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Census:
    """What one process holds.

    Attributes:
        children: command lines of every process below it.
        unix_sockets: how many Unix sockets it has open.
        descriptors: what its open descriptors are, sorted; only how many where ``/proc`` is not.
        threads: how many threads it runs.
        files: everything in the folders that are looked at.
    """

    children: tuple[str, ...]
    unix_sockets: int
    descriptors: tuple[str, ...]
    threads: int
    files: tuple[Path, ...]

    @classmethod
    def of(cls, pid: int, *folders: Path) -> Census:
        """Count what process ``pid`` holds, and list what lies in ``folders``."""
        process = psutil.Process(pid)
        return cls(
            children=tuple(sorted(_words(child) for child in process.children(recursive=True))),
            unix_sockets=len(process.net_connections(kind="unix")),
            descriptors=_descriptors(process),
            threads=process.num_threads(),
            files=tuple(sorted(path for folder in folders for path in folder.rglob("*"))),
        )


def _words(process: psutil.Process) -> str:
    try:
        return f"{process.status()}: {' '.join(process.cmdline()) or process.name()}"
    except psutil.NoSuchProcess:
        return ""


def _descriptors(process: psutil.Process) -> tuple[str, ...]:
    folder = Path(f"/proc/{process.pid}/fd")
    if not folder.is_dir():
        return ("descriptor",) * process.num_fds()
    found: list[str] = []
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):  # the one that lists them, by now closed
            # A pipe or a socket made anew has another number, and is no leak for that.
            found.append(str(entry.readlink()).partition(":[")[0])
    return tuple(sorted(found))


def wait_for_same(
    before: Census, count: Callable[[], Census], *, threads: int = 0, timeout_s: float = 10.0
) -> None:
    """Wait until nothing is held that was not held before.

    Args:
        before: counted when nothing was under way.
        count: counts again.
        threads: how many more there may be, for a pool that had not met its busiest moment.
        timeout_s: how long things may take to go.

    Raises:
        AssertionError: something stayed; carries both counts.
    """
    end = time.monotonic() + timeout_s
    while True:
        after = count()
        held = (after.children, after.unix_sockets, after.descriptors, after.files)
        same = held == (before.children, before.unix_sockets, before.descriptors, before.files)
        if same and after.threads <= before.threads + threads:
            return
        assert time.monotonic() < end, f"left behind:\nbefore {before}\nafter  {after}"
        time.sleep(0.05)
