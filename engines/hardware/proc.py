"""Memory and processor times: from /proc where there is one, else from psutil.

psutil reads the same two files on Linux, but takes 15 ms to import, which every ``modeldeck ls``
and the first verdict would wait for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")


class Memory(NamedTuple):
    """The host's memory."""

    total_bytes: int
    available_bytes: int


class Times(NamedTuple):
    """Time since the start, summed over the processors; only differences and ratios mean much."""

    total: float
    idle: float


def memory(proc: Path = PROC) -> Memory:
    """What there is, and what programs can still have (``MemAvailable``)."""
    try:
        lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
        found = {words[0]: int(words[1]) * 1024 for words in lines if len(words) >= 2}
        return Memory(found["MemTotal:"], found["MemAvailable:"])
    except (OSError, ValueError, KeyError):
        import psutil

        now = psutil.virtual_memory()
        return Memory(int(now.total), int(now.available))


def swap_used_bytes(proc: Path = PROC) -> int | None:
    """What is swapped out; None where nobody tells."""
    try:
        lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
        found = {words[0]: int(words[1]) * 1024 for words in lines if len(words) >= 2}
        return found["SwapTotal:"] - found["SwapFree:"]
    except (OSError, ValueError, KeyError):
        return None


class Mount(NamedTuple):
    """A mounted file system."""

    device: str
    folder: Path
    filesystem: str


def mounts(proc: Path = PROC) -> tuple[Mount, ...]:
    """Every mount that this process sees, in the order they were made; empty where nobody tells.

    Blanks in names are written as octal numbers (``fstab(5)``).
    """
    try:
        text = (proc / "self/mounts").read_text("utf-8", "surrogateescape")
    except OSError:
        return ()
    found = (line.split(" ") for line in text.splitlines())
    return tuple(
        Mount(_plain(words[0]), Path(_plain(words[1])), words[2])
        for words in found
        if len(words) >= 3
    )


def _plain(name: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        name = name.replace(code, sign)
    return name


def times(proc: Path = PROC) -> Times:
    """Processor times in the first line of ``stat``: guest time is in user time already."""
    try:
        with (proc / "stat").open() as file:
            name, *words = file.readline().split()
        user, nice, system, idle, iowait, *rest = map(int, words)
        if name != "cpu":
            raise ValueError(name)
    except (OSError, ValueError):
        import psutil

        now = psutil.cpu_times()
        guests: float = getattr(now, "guest", 0.0) + getattr(now, "guest_nice", 0.0)
        return Times(sum(now) - guests, now.idle + getattr(now, "iowait", 0.0))
    waiting = idle + iowait
    return Times(user + nice + system + waiting + sum(rest[:3]), waiting)
