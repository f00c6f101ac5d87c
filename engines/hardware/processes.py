"""Who a process on a GPU is: its name, and the deck it belongs to. Reads ``/proc``.

A deck's engines are its children, or children of its guard. Elsewhere than on Linux there is only
what the driver says, and nothing is taken for a deck's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from modeldeck.engines.hardware.program_names import is_forked_python, program_name
from modeldeck.engines.text import clean_line

_PROC: Final = Path("/proc")
_MOST_ANCESTORS: Final = 6
_WORKERS: Final = "modeldeck.engines.workers"
_LONGEST_NAME: Final = 40

UNKNOWN_DECK: Final = 0
"""The deck of an engine whose deck has ended or is not to be seen."""


class Identity(NamedTuple):
    """Who a process is.

    Attributes:
        name: cleaned; empty when nobody can tell.
        deck: the process of the modeldeck that it is an engine of; None for any other program.
    """

    name: str
    deck: int | None = None


def identify(pid: int, said: str | None, proc: Path = _PROC) -> Identity:
    """Who ``pid`` is.

    Args:
        pid: as the driver counts it, which in a container may be another's number.
        said: the command line or program as the driver gives it. Only where its first word is that
            of ``pid`` here too, what ``/proc`` tells of ``pid`` is believed. None for a number
            that is ``/proc``'s own.
        proc: where the processes are.
    """
    words = _words(proc, pid)
    if not words or (said is not None and _program(words[0]) != _program(said)):
        return Identity(clean_line(program_name((said or "",)), _LONGEST_NAME))
    deck = _deck_of(proc, pid, words)
    if deck is not None:
        name = _model(words) or f"{_program(words[0])} of the deck"
        return Identity(clean_line(name, 120), deck)
    if is_forked_python(words):
        parent = _parent(proc, pid)
        words = _words(proc, parent) or words
        name = program_name(words, _folder(proc, parent))
    else:
        name = program_name(words, _folder(proc, pid))
    return Identity(clean_line(name, _LONGEST_NAME))


def _program(command: str) -> str:
    return command.partition(" ")[0].rsplit("/", 1)[-1]


def _deck_of(proc: Path, pid: int, words: Sequence[str]) -> int | None:
    """The deck among the ancestors; a worker of ours has one even where it is not to be seen."""
    try:
        if (proc / str(pid)).stat().st_uid != os.getuid():
            return None  # another user's deck is a stranger here
    except OSError:
        return None
    found = UNKNOWN_DECK if _is_worker(words) else None
    for _ in range(_MOST_ANCESTORS):
        pid = _parent(proc, pid)
        if pid <= 1:
            return found
        above = _words(proc, pid)
        if pid == os.getpid() or any(Path(word).name == "modeldeck" for word in above[:3]):
            return pid
        if _is_worker(above):
            found = UNKNOWN_DECK
    return found


def _is_worker(words: Sequence[str]) -> bool:
    return any(word.startswith(_WORKERS) for word in words)


def _words(proc: Path, pid: int) -> tuple[str, ...]:
    try:
        text = (proc / str(pid) / "cmdline").read_bytes()[: 1 << 16]
    except OSError:
        return ()
    words = text.decode("utf-8", "replace").split("\0")
    while words and not words[-1]:
        words.pop()
    return tuple(words)


def _folder(proc: Path, pid: int) -> str:
    try:
        return str((proc / str(pid) / "cwd").readlink())
    except OSError:
        return ""


def _parent(proc: Path, pid: int) -> int:
    try:
        text = (proc / str(pid) / "stat").read_text("utf-8", "replace")
        return int(text.rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _model(words: Sequence[str]) -> str:
    """The model that ``-m`` names, without its folder and suffix."""
    for word, following in pairwise(words):
        if word in ("-m", "--model") and not following.startswith(_WORKERS):
            return Path(following).stem
    return ""
