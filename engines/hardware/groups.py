"""Limits on this process by control group, of memory and of processor time.

Every group from ours up to the root is looked at: a limit binds all groups below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

MOUNTED: Final = Path("/sys/fs/cgroup")
_LONGEST: Final = 1 << 16


class GroupMemory(NamedTuple):
    """A control group's limit, and what is left below it; page cache counts as left."""

    limit_bytes: int
    available_bytes: int


class _Group(NamedTuple):
    """A folder of a hierarchy, of version 2 where all controllers are in one."""

    folder: Path
    unified: bool


def group_memory(membership: str, root: Path = MOUNTED) -> GroupMemory | None:
    """The tightest memory limit on this process.

    Args:
        membership: the text of ``/proc/self/cgroup``.
        root: where the hierarchies are mounted: version 2 here, or version 1 in ``memory/``.

    Returns:
        The group with the least memory left; None when there is no limit. A version 1 "no limit"
        is a huge number, which the caller's minimum with the machine's memory makes harmless.
    """
    found = filter(None, map(_memory_of, _groups(membership, root, "memory")))
    return min(found, key=lambda group: group.available_bytes, default=None)


def group_cores(membership: str, root: Path = MOUNTED) -> float | None:
    """The fewest cores that a quota lets this process use; None without one.

    Version 2 says it in ``cpu.max``, version 1 in ``cpu.cfs_quota_us``: microseconds of work in a
    period (kernel, ``Documentation/scheduler/sched-bwc``).
    """
    return min(filter(None, map(_cores_of, _groups(membership, root, "cpu"))), default=None)


def _groups(membership: str, root: Path, controller: str) -> Iterator[_Group]:
    for line in membership.splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        unified = hierarchy == "0" and not controllers
        if not unified and controller not in controllers.split(","):
            continue
        # A hierarchy of version 1 is mounted by its controllers, mostly with a link for each.
        bases = [root] if unified else list(dict.fromkeys((root / controllers, root / controller)))
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for base in bases:
            for depth in range(len(parts), -1, -1):
                yield _Group(base.joinpath(*parts[:depth]), unified)


def _memory_of(group: _Group) -> GroupMemory | None:
    if group.unified:
        limit, usage, reclaimable = "memory.max", "memory.current", "inactive_file"
    else:
        limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        reclaimable = "total_inactive_file"
    try:
        limit_bytes = int(_text(group.folder / limit))
        used_bytes = int(_text(group.folder / usage))
        stat = _text(group.folder / "memory.stat")
    except (OSError, ValueError):  # "max", or no such group
        return None
    for line in stat.splitlines():
        key, _, value = line.partition(" ")
        if key == reclaimable and value.isdecimal():
            used_bytes -= int(value)
    return GroupMemory(limit_bytes, max(limit_bytes - max(used_bytes, 0), 0))


def _cores_of(group: _Group) -> float | None:
    try:
        if group.unified:
            quota, period = _text(group.folder / "cpu.max").split()
        else:
            quota = _text(group.folder / "cpu.cfs_quota_us")
            period = _text(group.folder / "cpu.cfs_period_us")
        work_us, period_us = int(quota), int(period)
    except (OSError, ValueError):  # "max", or no such group
        return None
    return work_us / period_us if work_us > 0 and period_us > 0 else None


def _text(path: Path) -> str:
    with path.open(encoding="ascii", errors="replace") as file:
        return file.read(_LONGEST)
