"""Two processes that do the same thing at the same moment, over and over."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass

_LOOP = """
import sys
for line in sys.stdin:
    words = line.split()
    try:
        turn(*words)
        print("done", flush=True)
    except Exception as error:
        print(f"{error!r}", flush=True)
"""


@dataclass
class Pair:
    """Two processes with a function ``turn`` each, waiting for its arguments."""

    processes: tuple[subprocess.Popen[str], ...]

    def turn(self, *words: Sequence[object]) -> None:
        """Have both take a turn at the same moment, each with its own words.

        Raises:
            AssertionError: one of them raised; carries what.
        """
        for process, own in zip(self.processes, words, strict=True):
            assert process.stdin is not None
            process.stdin.write(" ".join(map(str, own)) + "\n")
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.flush()
        answers = [process.stdout.readline() for process in self.processes if process.stdout]
        assert answers == ["done\n"] * len(self.processes), answers


@contextlib.contextmanager
def pair(source: str) -> Generator[Pair]:
    """Start two processes that have run ``source``, which defines ``turn(*words)``."""
    command = [sys.executable, "-c", source + _LOOP]
    processes = tuple(
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    )
    try:
        yield Pair(processes)
    finally:
        for process in processes:
            process.communicate(timeout=20)
