"""A real terminal for tests: a pty, a screen that knows escape sequences, and a user's hands."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil
import pyte

KEYS = {
    "UP": "\x1b[A",
    "DOWN": "\x1b[B",
    "RIGHT": "\x1b[C",
    "LEFT": "\x1b[D",
    "PGUP": "\x1b[5~",
    "PGDN": "\x1b[6~",
    "HOME": "\x1b[H",
    "END": "\x1b[F",
    "ENTER": "\r",
    "ESC": "\x1b",
    "TAB": "\t",
    "BACKSPACE": "\x7f",
}
# What pyte does not parse: private-prefixed CSI, mode reports, and OSC strings.
_UNPARSED = re.compile(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$[a-z]")


def modeldeck_command(*arguments: str) -> list[str]:
    """The words that start this tree's ``modeldeck`` with this Python."""
    return [sys.executable, "-m", "modeldeck.tui.cli", *arguments]


class Terminal:
    """A program in a pty, and what a person would see of it.

    Attributes:
        received: every byte the program wrote.
        pid: the program.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        size: tuple[int, int] = (120, 40),
        cwd: Path | None = None,
    ) -> None:
        columns, lines = size
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.received = bytearray()
        self.exit_code: int | None = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            if cwd is not None:
                os.chdir(cwd)
            # As a terminal's own shell would: whoever runs the tests may have them ignored.
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            time.sleep(0.05)
            os.execvpe(command[0], list(command), dict(environ))
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def text(self) -> str:
        """The screen now, as lines without trailing blanks."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def pump(self, seconds: float) -> bool:
        """Take in what the program writes for a while; False when it has closed its terminal."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._fd < 0:
                time.sleep(min(left, 0.05))
                continue
            if not select.select([self._fd], [], [], min(left, 0.05))[0]:
                continue
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                return False
            if not data:
                return False
            self._answer(data)
            self.received += data
            self._stream.feed(_UNPARSED.sub(b"", data))
        return True

    def drain(self, until: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
        """Take in what the program writes until something holds, and draw it only then.

        Drawing takes a processor, which who measures the program wants to leave alone.
        """
        end = time.monotonic() + timeout_s
        taken = bytearray()
        while not until():
            assert time.monotonic() < end, f"never held; the screen was:\n{self.text}"
            if select.select([self._fd], [], [], 0.05)[0]:
                taken += os.read(self._fd, 65536)
        self.received += taken
        self._stream.feed(_UNPARSED.sub(b"", bytes(taken)))

    def sip(self, most_bytes: int, seconds: float) -> None:
        """Take in little of what the program writes, and then nothing for a while."""
        if select.select([self._fd], [], [], 0)[0]:
            data = os.read(self._fd, most_bytes)
            self._answer(data)
            self.received += data
            self._stream.feed(_UNPARSED.sub(b"", data))
        time.sleep(seconds)

    def _answer(self, data: bytes) -> None:
        for question, answer in (
            (b"\x1b[6n", b"\x1b[1;1R"),
            (b"\x1b[c", b"\x1b[?62;c"),
            (b"\x1b[?2026$p", b"\x1b[?2026;2$y"),
        ):
            if question in data:
                os.write(self._fd, answer)

    def wait_for(self, pattern: str, *, timeout_s: float = 30.0) -> re.Match[str]:
        """Wait until the screen matches a regular expression, and return the match.

        Raises:
            AssertionError: it did not within ``timeout_s``; carries the screen.
        """
        wanted = re.compile(pattern, re.MULTILINE)
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if found := wanted.search(self.text):
                return found
            if not self.pump(0.05):
                break
        if found := wanted.search(self.text):
            return found
        raise AssertionError(f"never saw {pattern!r}; the screen is:\n{self.text}")

    def wait_gone(self, pattern: str, *, timeout_s: float = 30.0) -> None:
        """Wait until the screen no longer matches."""
        wanted = re.compile(pattern, re.MULTILINE)
        end = time.monotonic() + timeout_s
        while wanted.search(self.text):
            if time.monotonic() > end:
                raise AssertionError(f"still there: {pattern!r}; the screen is:\n{self.text}")
            self.pump(0.05)

    def press(self, *keys: str) -> None:
        """Press keys one after another: names of ``KEYS``, ``^x`` for ctrl+x, or characters."""
        for key in keys:
            sequence = chr(ord(key[1].upper()) - 64) if re.fullmatch(r"\^.", key) else key
            os.write(self._fd, KEYS.get(sequence, sequence).encode())
            # Whatever follows an escape at once is one key with it (alt and a letter, say).
            self.pump(0.25 if key == "ESC" else 0.08)

    def type(self, text: str) -> None:
        """Type text as a person would paste it into one line."""
        for character in text:
            os.write(self._fd, character.encode())
            self.pump(0.01)

    def paste(self, text: str) -> None:
        """Paste text at once, as a terminal with bracketed paste does."""
        os.write(self._fd, f"\x1b[200~{text}\x1b[201~".encode())
        self.pump(0.1)

    def resize(self, columns: int, lines: int) -> None:
        """Make the terminal larger or smaller; the program is told by SIGWINCH."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def children(self) -> list[psutil.Process]:
        """Every process below the program."""
        return psutil.Process(self.pid).children(recursive=True)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)

    def wait_exit(self, timeout_s: float = 20.0) -> int:
        """Wait for the program to end. Returns its exit code (negative: the signal)."""
        end = time.monotonic() + timeout_s
        while self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
                break
            if time.monotonic() > end:
                raise AssertionError(f"still running; the screen is:\n{self.text}")
            self.pump(0.05)
        self.pump(0.2)
        return self.exit_code

    def hang_up(self) -> None:
        """Close our side, as a lost connection does."""
        os.close(self._fd)
        self._fd = -1

    def close(self) -> None:
        """End the program if it still runs, and free the pty."""
        if self.exit_code is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
