"""The host: processor, memory, and the control group's limit where one is set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from modeldeck.engines.hardware import proc
from modeldeck.engines.hardware.groups import group_memory
from modeldeck.engines.hardware.types import HostSnapshot
from modeldeck.engines.text import clean_line

# Keys of /proc/cpuinfo that hold a product name, best first: x86, then what ARM boards give.
_CPU_KEYS: Final = ("model name", "Hardware", "Model", "cpu model", "cpu")


def cpu_name(cpuinfo: str) -> str:
    """The processor's product name in the text of ``/proc/cpuinfo``, cleaned; empty when absent."""
    found: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon and value.strip():
            found.setdefault(key.strip(), value.strip())
    for key in _CPU_KEYS:
        if key in found:
            return clean_line(" ".join(found[key].split()), 80)
    return ""


class HostReader:
    """Host snapshots; keeps the last processor times, so that a percentage needs no waiting.

    ``psutil.cpu_percent`` keeps its last times per thread, which a pool of threads would defeat.
    """

    def __init__(self) -> None:
        self._name = clean_line(os.uname().nodename, 60)
        self._cpu_name = cpu_name(_read("/proc/cpuinfo")) or _processor()
        self._membership = _read("/proc/self/cgroup")
        self._last_times: tuple[float, float] | None = None

    def read(self) -> HostSnapshot:
        """The host now."""
        total, available = proc.memory()
        group = group_memory(self._membership)
        if group is not None:
            total, available = min(total, group.limit_bytes), min(available, group.available_bytes)
        times = proc.times()
        return HostSnapshot(
            name=self._name,
            cpu_name=self._cpu_name,
            cpu_cores=_usable_cores(),
            cpu_percent=self._percent(times.total, times.idle),
            memory_total_bytes=total,
            memory_available_bytes=available,
        )

    def _percent(self, total: float, idle: float) -> float | None:
        last, self._last_times = self._last_times, (total, idle)
        if last is None or total <= last[0]:
            return None
        share_idle = (idle - last[1]) / (total - last[0])
        return round(100 * min(max(1 - share_idle, 0.0), 1.0), 1)


def _processor() -> str:
    import platform  # for systems that have no /proc

    return clean_line(platform.processor(), 80)


def process_memory(pid: int) -> int | None:
    """Resident bytes of process ``pid``; None when it is gone, finished or not ours to see."""
    import psutil  # 15 ms

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return int(process.memory_info().rss)
    except (psutil.Error, ValueError, OverflowError):
        return None


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
