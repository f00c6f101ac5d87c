"""Which processes on a GPU are the deck's own: what they hold can be had back.

The deck's engines are its children, or children of its guard; their command lines and parents are
in ``/proc``. Elsewhere nothing is taken for the deck's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from modeldeck.engines.hardware.types import GpuProcess
from modeldeck.engines.text import clean_line

_PROC: Final = Path("/proc")
_MOST_ANCESTORS: Final = 6
_WORKERS: Final = "modeldeck.engines.workers"


def split_processes(
    processes: Sequence[GpuProcess], proc: Path = _PROC
) -> tuple[tuple[GpuProcess, ...], tuple[GpuProcess, ...]]:
    """The deck's own processes, named after the model they hold, and all the others."""
    own: list[GpuProcess] = []
    others: list[GpuProcess] = []
    for process in processes:
        words = _words(proc, process.pid)
        if _is_decks(proc, process.pid, words):
            own.append(replace(process, name=_model(words) or f"{process.name} of the deck"))
        else:
            others.append(process)
    return tuple(own), tuple(others)


def _is_decks(proc: Path, pid: int, words: Sequence[str]) -> bool:
    if any(word.startswith(_WORKERS) for word in words):
        return True
    for _ in range(_MOST_ANCESTORS):
        pid = _parent(proc, pid)
        if pid <= 1:
            return False
        for word in _words(proc, pid)[:3]:
            if Path(word).name == "modeldeck" or word.startswith(_WORKERS):
                return True
    return False


def _words(proc: Path, pid: int) -> tuple[str, ...]:
    try:
        text = (proc / str(pid) / "cmdline").read_bytes()[: 1 << 16]
    except OSError:
        return ()
    return tuple(text.decode("utf-8", "replace").split("\0"))


def _parent(proc: Path, pid: int) -> int:
    try:
        text = (proc / str(pid) / "stat").read_text("utf-8", "replace")
        return int(text.rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _model(words: Sequence[str]) -> str:
    """The model that ``-m`` names, without its folder and suffix."""
    for word, following in pairwise(words):
        if word in ("-m", "--model"):
            return clean_line(Path(following).stem, 120)
    return ""
