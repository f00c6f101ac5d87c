"""Pulls in a process of their own, which is killed where a test says, and begun again.

Run as a program this file is that process: it pulls ``sys.argv[1]`` into the store in the folder
``sys.argv[2]``, whose layout is ``sys.argv[3]``, and kills itself, with no chance to tidy up, where
the rest says.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.pulls.journal import Kept, read_journal, this_boot
from modeldeck.engines.pulls.part_file import JOURNAL
from modeldeck.engines.pulls.pull import Report, run_pull
from modeldeck.engines.pulls.types import Destination, Layout, PullState

_STEPS = ("open", "os.rename", "os.symlink", "os.remove", "os.chmod", "os.mkdir", "os.truncate")
"""What Python tells of before it does it (its audit events) and what changes a store."""

_ORDER = (PullState.RUNNING, PullState.VERIFYING, PullState.PLACING)


@dataclass(frozen=True)
class Kill:
    """Where a pull is killed.

    Attributes:
        state: that it has to have come to first, or be past.
        done_bytes: that have to be here first, counted from the beginning of the file.
        seconds: after that.
        step: kill at this change of the disk after that; 0 for none.
    """

    state: PullState = PullState.RUNNING
    done_bytes: int = 0
    seconds: float = 0.0
    step: int = 0


def killed_pull(
    target: str, there: Destination, environ: Mapping[str, str], kill: Kill | None
) -> bool:
    """Run a pull until it ends or is killed; whether it was killed.

    Raises:
        AssertionError: it ended otherwise.
    """
    words = [] if kill is None else [kill.state, kill.done_bytes, kill.seconds, kill.step]
    done = subprocess.run(
        [sys.executable, __file__, target, str(there.folder), there.layout, *map(str, words)],
        env={**environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def journalled(folder: Path) -> Kept | None:
    """What the only journal below a folder says; None without one."""
    journals = list(folder.rglob(f"*{JOURNAL}"))
    assert len(journals) <= 1
    return read_journal(journals[0].read_bytes(), this_boot()) if journals else None


class _Executioner:
    """Kills this process where it was told to."""

    def __init__(self, kill: Kill) -> None:
        self._kill = kill
        self._steps_left = kill.step
        self._armed = threading.Event()
        if kill.step:
            sys.addaudithook(self._step)
        else:
            threading.Thread(target=self._later, daemon=True).start()

    def told(self, report: Report) -> None:
        here = sum(file.done_bytes for file in report.files)
        come = _ORDER.index(report.state) >= _ORDER.index(self._kill.state)
        if come and here >= self._kill.done_bytes:
            self._armed.set()

    def _later(self) -> None:
        self._armed.wait()
        time.sleep(self._kill.seconds)
        _die()

    def _step(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in _STEPS and self._armed.is_set():
            self._steps_left -= 1
            if self._steps_left == 0:
                _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _main(target: str, folder: str, layout: str, *words: str) -> None:
    from modeldeck.engines.catalog.targets import parse_target
    from modeldeck.engines.pulls.control import Control
    from modeldeck.engines.pulls.wanted import wanted

    kill = (
        Kill(PullState(words[0]), int(words[1]), float(words[2]), int(words[3])) if words else None
    )
    want = wanted(parse_target(target), Destination(Layout(layout), Path(folder)), os.environ)
    run_pull(want, os.environ, Control(), _Executioner(kill).told if kill else _nobody)


def _nobody(_: Report) -> None:
    """Nobody wants to know."""


if __name__ == "__main__":
    _main(*sys.argv[1:])
