"""Who is writing: a process told apart from every other, also from a later one of its number."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_DEAD: Final = frozenset("ZX")


def writer_mark(pid: int) -> str:
    """A mark that only process ``pid``, as it runs now, has; empty when there is none.

    On Linux: its number, its start in ticks since boot (proc(5), field 22 of ``stat``) and the
    boot. Elsewhere the start is psutil's.
    """
    if not (_PROC / "self").exists():
        return _portable_mark(pid)
    try:
        status = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    # The name in brackets may hold anything; the state and field 22 stand after the last one.
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] in _DEAD else f"{pid}:{fields[19]}:{boot}"


def _portable_mark(pid: int) -> str:
    import psutil  # about 10 ms, and never on Linux

    try:
        process = psutil.Process(pid)
        dead = process.status() == psutil.STATUS_ZOMBIE
        return "" if dead else f"{pid}:{process.create_time()}:"
    except psutil.Error:
        return ""


def is_writing(mark: str) -> bool:
    """Whether the process with this mark still runs."""
    pid, _, _ = mark.partition(":")
    return pid.isascii() and pid.isdigit() and writer_mark(int(pid)) == mark
