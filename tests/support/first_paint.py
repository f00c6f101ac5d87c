"""How long a program takes until its terminal shows something."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence

_LONGEST_S = 60.0


def seconds_until(
    command: Sequence[str],
    *patterns: bytes,
    environ: Mapping[str, str],
    size: tuple[int, int] = (120, 40),
) -> tuple[float, ...]:
    """Wall seconds from the start of ``command`` until its output matches each of ``patterns``.

    What it writes is searched as it comes, not drawn: a screen that is drawn would take the
    processor from the program. The program is killed then.

    Raises:
        AssertionError: one of them never came.
    """
    wanted = [re.compile(pattern) for pattern in patterns]
    columns, lines = size
    begun = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.execvpe(command[0], list(command), dict(environ))
    times: list[float | None] = [None] * len(wanted)
    received = bytearray()
    try:
        while None in times and time.perf_counter() - begun < _LONGEST_S:
            if not select.select([terminal], [], [], 1.0)[0]:
                continue
            try:
                received += os.read(terminal, 65536)
            except OSError:
                break
            now = time.perf_counter() - begun
            for index, pattern in enumerate(wanted):
                if times[index] is None and pattern.search(received):
                    times[index] = now
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    found = tuple(seconds for seconds in times if seconds is not None)
    assert len(found) == len(wanted), f"never came; the end of the output: {received[-2000:]!r}"
    return found
