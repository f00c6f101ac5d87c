"""A child that is asked a line and answers with a line, from a thread that waits for it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

from modeldeck.engines.workers import guard

_MOST_BYTES: Final = 1 << 20
_GRACE_S: Final = 2.0


class NoAnswer(Exception):
    """The child ended, or did not answer in time, or without end; it is gone now."""


class AskedChild:
    """A guarded child in a process group of its own: it does not outlive us, however we end."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start ``command``. Raises OSError."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._rest = b""

    @property
    def pid(self) -> int:
        """The guard's process id; its group has the child."""
        return self._process.pid

    def ask(self, line: str, seconds: float) -> str:
        """The answer to one line. Raises NoAnswer."""
        stdin = self._process.stdin
        if stdin is None or self._process.returncode is not None:
            raise NoAnswer("it ended")
        try:
            stdin.write(line.encode() + b"\n")
            stdin.flush()
            return self._line(time.monotonic() + seconds)
        except (OSError, NoAnswer) as error:
            self.end()
            raise NoAnswer(str(error)) from error

    def _line(self, until: float) -> str:
        stdout = self._process.stdout
        assert stdout is not None
        while b"\n" not in self._rest:
            ready, _, _ = select.select([stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise NoAnswer("it does not answer")
            data = os.read(stdout.fileno(), 65536)
            if not data:
                raise NoAnswer("it ended")
            self._rest += data
            if len(self._rest) > _MOST_BYTES:
                raise NoAnswer("it does not stop talking")
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace")

    def end(self) -> None:
        """End the child and reap it: asked first, then killed with all it started."""
        process = self._process
        if process.returncode is not None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        if process.stdout is not None:
            self._hear_out(time.monotonic() + _GRACE_S)
            process.stdout.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _hear_out(self, until: float) -> None:
        """Wait for the end of what it says, which is its own end."""
        with contextlib.suppress(NoAnswer, OSError):
            while True:
                self._rest = b""
                self._line(until)
