"""Children are listened to, end when told, and never outlive whoever started them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from modeldeck.engines.workers.process import LOG_LINES, ChildProcess, bytes_read

PACKAGES = str(Path(__file__).parents[3] / ".pkg")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-c", code)


async def gone(pid: int) -> None:
    """Wait until ``pid`` is no process any more, or only an orphan waiting for init."""
    async with asyncio.timeout(10):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Lines:
    """The lines of a child, to be waited for."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, line: str) -> None:
        self._queue.put_nowait(line)

    async def next(self) -> str:
        async with asyncio.timeout(20):
            return await self._queue.get()


async def test_what_a_child_writes_is_kept_clean_and_its_end_is_seen() -> None:
    code = "import sys; print('one\\x1b[31m\\x07'); print('two', file=sys.stderr); sys.exit(3)"
    child = await ChildProcess.start(python(code))

    assert await child.wait() == 3
    assert child.exit_code == 3
    assert not child.running
    assert child.log() == ("one[31m", "two")
    await child.stop()


async def test_the_log_keeps_the_newest_lines_and_survives_one_without_an_end() -> None:
    code = f"print('x' * 300_000); [print(i) for i in range({LOG_LINES})]; print('end', end='')"
    child = await ChildProcess.start(python(code))
    await child.wait()

    assert len(child.log()) == LOG_LINES
    assert child.log()[-2:] == (str(LOG_LINES - 1), "end")


async def test_a_secret_is_never_in_the_log_nor_on_the_command_line() -> None:
    secret = "s3cret-key"
    lines = Lines()
    child = await ChildProcess.start(
        python("import os; print('key', os.environ['KEY'], input()); input()"),
        environ={"KEY": secret},
        stdin=f"{secret}\n".encode(),
        on_line=lines,
        hidden=[secret],
    )
    try:
        assert await lines.next() == "key … …"
        assert secret not in " ".join(psutil.Process(child.pid).cmdline())
    finally:
        await child.stop()


async def test_a_variable_can_be_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "1")
    child = await ChildProcess.start(
        python("import os; print(os.environ.get('LLAMA_ARG_CTX_SIZE'))"),
        environ={"LLAMA_ARG_CTX_SIZE": None},
    )
    await child.wait()

    assert child.log() == ("None",)


async def test_a_child_that_ignores_the_polite_signal_is_killed() -> None:
    lines = Lines()
    child = await ChildProcess.start(
        python(
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            " print('deaf'); time.sleep(600)"
        ),
        on_line=lines,
    )
    assert await lines.next() == "deaf"

    await child.stop(grace_s=0.1)

    assert child.exit_code == -signal.SIGKILL
    assert not psutil.pid_exists(child.pid)


async def test_a_grandchild_goes_with_the_group() -> None:
    lines = Lines()
    child = await ChildProcess.start(
        python(
            "import subprocess, sys, time;"
            " p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
            " print(p.pid); time.sleep(600)"
        ),
        on_line=lines,
    )
    grandchild = int(await lines.next())

    await child.stop()

    await gone(grandchild)


async def test_stopping_is_safe_twice_and_after_the_end_and_leaks_no_descriptor() -> None:
    async def once() -> None:
        child = await ChildProcess.start(python("input()"))
        await child.stop()
        await child.stop()
        assert not psutil.pid_exists(child.pid)

    await once()
    before = psutil.Process().num_fds()
    for _ in range(3):
        await once()

    assert psutil.Process().num_fds() <= before


async def test_a_program_that_is_not_there_ends_and_says_so() -> None:
    child = await ChildProcess.start(["/no/such/program"])

    assert await child.wait() != 0
    assert any("/no/such/program" in line or "No such file" in line for line in child.log())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
async def test_no_child_outlives_a_parent_that_was_killed() -> None:
    parent_code = f"""
import asyncio, sys
sys.path.insert(0, {PACKAGES!r})
from modeldeck.engines.workers.process import ChildProcess

async def main():
    ready = asyncio.Event()
    child = await ChildProcess.start(
        [sys.executable, "-u", "-c", "import time; print('up'); time.sleep(600)"],
        on_line=lambda line: ready.set(),
    )
    await ready.wait()
    print(child.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    lines = Lines()
    parent = await ChildProcess.start(python(parent_code), on_line=lines)
    orphan = int(await lines.next())
    assert psutil.pid_exists(orphan)

    os.kill(parent.pid, signal.SIGKILL)

    await gone(orphan)
    await parent.stop()


async def test_bytes_read_grow_with_a_file_that_is_read(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(8_000_000))
    lines = Lines()
    child = await ChildProcess.start(
        python(
            "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1});"
            " print('up'); signal.sigwait({signal.SIGUSR1});"
            f" x = open({str(weights)!r}, 'rb').read(); print('read'); input()"
        ),
        on_line=lines,
    )
    try:
        assert await lines.next() == "up"
        before = bytes_read(child.pid)
        if before is None:
            pytest.skip("no /proc here")
        os.kill(child.pid, signal.SIGUSR1)
        assert await lines.next() == "read"
        after = bytes_read(child.pid)
        assert after is not None
        assert after - before >= 8_000_000
    finally:
        await child.stop()
    assert bytes_read(child.pid) is None
