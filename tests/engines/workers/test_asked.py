"""A child that answers lines, ends when told, and is killed when it does not."""

from __future__ import annotations

import sys
import time

import psutil
import pytest

from modeldeck.engines.workers.asked import AskedChild, NoAnswer

ECHO = "import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)"
DEAF = "import signal, sys, time\nsys.stdin.close()\nwhile True: time.sleep(1)"
CHATTY = "import sys\nsys.stdin.readline()\nwhile True: sys.stdout.write('x' * 4096)"
SILENT = "import sys, time\nsys.stdin.readline()\ntime.sleep(600)"
GONE = "import sys\nsys.stdin.readline()"
PARENT = "import subprocess, sys\nprint(subprocess.Popen(['sleep', '600']).pid, flush=True)\n"


def child(program: str) -> AskedChild:
    return AskedChild([sys.executable, "-c", program])


def gone(pid: int) -> bool:
    """Soon: what is killed ends when the kernel next runs it, and stays a while if nobody reaps."""
    try:
        psutil.Process(pid).wait(timeout=20)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_it_answers_line_by_line_and_ends_when_told() -> None:
    asked = child(ECHO)
    assert asked.ask("hello", 20) == "olleh"
    assert asked.ask("ü €", 20) == "€ ü"
    asked.end()
    assert not psutil.pid_exists(asked.pid)
    with pytest.raises(NoAnswer):
        asked.ask("again", 1)
    asked.end()


@pytest.mark.parametrize(
    ("program", "why"),
    [(CHATTY, "does not stop"), (SILENT, "does not answer"), (GONE, "ended")],
    ids=["talks without end", "says nothing", "ends"],
)
def test_what_gives_no_answer_is_gone(program: str, why: str) -> None:
    asked = child(program)
    with pytest.raises(NoAnswer, match=why):
        asked.ask("hello", 3)
    assert not psutil.pid_exists(asked.pid)


def test_one_that_does_not_listen_is_killed_with_what_it_started() -> None:
    asked = child(PARENT + DEAF)
    started = int(asked._line(time.monotonic() + 20))  # pyright: ignore[reportPrivateUsage]
    asked.end()
    assert not psutil.pid_exists(asked.pid)
    assert gone(started)
