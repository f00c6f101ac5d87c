"""A child process that is started, listened to, and surely ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modeldeck.engines.text import clean_line
from modeldeck.engines.workers import guard

LOG_LINES = 2000
_LINE_LIMIT_BYTES = 64 * 1024
_OURS = {
    # Where gdb is installed, ggml has it write hundreds of lines before an abort ends the process.
    "GGML_NO_BACKTRACE": "1",
    # Cards are counted as NVML counts them; CUDA's own order begins with the fastest.
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
}

OnLine = Callable[[str], None]


def _ignore(line: str) -> None:
    """For callers who do not listen."""


class ChildProcess:
    """A guarded child in a process group of its own, with its last lines kept.

    Made by ``start``. What the child writes on standard output and standard error is one stream of
    lines, cleaned. The child's standard input stays open as its lifeline: our own workers end when
    it closes.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, on_line: OnLine, hidden: Sequence[str]
    ) -> None:
        self._process = process
        self._on_line = on_line
        self._hidden = tuple(hidden)
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        environ: Mapping[str, str | None] | None = None,
        stdin: bytes = b"",
        on_line: OnLine = _ignore,
        hidden: Sequence[str] = (),
        inherited: Sequence[int] = (),
    ) -> ChildProcess:
        """Start ``command``.

        Args:
            command: program and arguments; no secrets, everybody can read a command line.
            environ: variables to add to ours, or, where None, to take out.
            stdin: written to the child at once; the pipe then stays open.
            on_line: called with each line as it comes.
            hidden: secrets to strike out of what the child writes.
            inherited: descriptors that the child gets under the same numbers.

        Raises:
            OSError: the program cannot be started.
        """
        changed = {**os.environ, **_OURS, **(environ or {})}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            guard.__file__,
            str(os.getpid()),
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={name: value for name, value in changed.items() if value is not None},
            limit=_LINE_LIMIT_BYTES,
            start_new_session=True,
            pass_fds=tuple(inherited),
        )
        child = cls(process, on_line, hidden)
        if stdin and process.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(stdin)
                await process.stdin.drain()
        return child

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the child has not ended."""
        return self._process.returncode is None

    @property
    def exit_code(self) -> int | None:
        """How it ended: None while it runs, negative for a signal."""
        return self._process.returncode

    def log(self) -> tuple[str, ...]:
        """The last lines it wrote, oldest first."""
        return tuple(self._lines)

    async def wait(self) -> int:
        """Wait until it has ended and everything it wrote has been read. Returns its exit code."""
        code = await self._process.wait()
        await asyncio.shield(self._reader)
        return code

    async def stop(self, grace_s: float = 3.0) -> None:
        """End the child and whatever it started: asked first, killed after ``grace_s``; reaped."""
        try:
            if self.running:
                if self._process.stdin is not None:
                    self._process.stdin.close()
                self._signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), grace_s)
        finally:
            self._signal(signal.SIGKILL)
            await self._process.wait()
            await self._drain()

    async def _drain(self) -> None:
        done, _ = await asyncio.wait({self._reader}, timeout=1.0)
        if not done:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        while True:
            try:
                data = await stream.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                self._keep(end.partial)
                return
            except asyncio.LimitOverrunError as overrun:
                data = await stream.readexactly(overrun.consumed)
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        for secret in self._hidden:
            text = text.replace(secret, "…")
        line = clean_line(text, 1000)
        if line:
            self._lines.append(line)
            self._on_line(line)


def worker_command(module: str) -> tuple[str, ...]:
    """The words that run one of our own modules as a child with the same packages as we have."""
    return (sys.executable, "-m", module)


def bytes_read(pid: int) -> int | None:
    """How much of its files a process has in memory or has read: grows while it reads weights.

    Mapped pages are not read and read bytes are not mapped, so both count together: from
    ``/proc/PID/status`` (``RssFile``) and ``/proc/PID/io`` (``rchar``); None where neither is.
    Only the growth means anything: both have begun with the program and its libraries.
    """
    mapped = _proc_number(pid, "status", "RssFile:")
    read = _proc_number(pid, "io", "rchar:")
    if mapped is None and read is None:
        return None
    return (mapped or 0) * 1024 + (read or 0)


def _proc_number(pid: int, file: str, name: str) -> int | None:
    try:
        text = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return None
