"""The process that owns pulls, for real: started by a client, apart from it, and alone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from modeldeck.engines.pulls.client import Pulls, PullsClient
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.home import PullsHome
from modeldeck.engines.pulls.types import Destination, Layout, PullProgress, PullState
from modeldeck.engines.units import MIB
from tests.support.file_server import Request, serving

CONTENT = bytes(os.urandom(MIB)) * 24
SLOW = 4 * MIB


@pytest.fixture
async def client() -> AsyncIterator[PullsClient]:
    """A client in an empty home; the owner that it starts is ended."""
    client = client_of_this_version()
    yield client
    await ended(client)


def client_of_this_version() -> PullsClient:
    """A client as a deck makes it."""
    return PullsClient(version("modeldeck"))


async def ended(client: PullsClient) -> None:
    owner = PullsHome().owner()
    await client.end()
    if owner is not None:
        await until(lambda: not alive(owner.pid))


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_owner(process: psutil.Process) -> bool:
    """It owns pulls in this home."""
    try:
        here = process.environ().get("HOME") == os.environ["HOME"]
        return here and "modeldeck.engines.pulls" in process.cmdline()
    except psutil.Error:
        return False


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came")


async def empty(folder: Path) -> None:
    """Nothing is in it any more."""
    await until(lambda: not any(one.is_file() for one in folder.rglob("*")))


async def seen(
    client: PullsClient, holds: Callable[[PullProgress], bool]
) -> tuple[PullProgress, list[Pulls]]:
    """The first pull once something holds of it, and all that was sent until then."""
    news: list[Pulls] = []
    async with asyncio.timeout(60):
        async for state in client.watch():
            news.append(state)
            if state.pulls and holds(state.pulls[0]):
                return state.pulls[0], news
    raise AssertionError("the owner left")


def into(folder: Path) -> Destination:
    return Destination(Layout.FOLDER, folder)


async def test_a_pull_is_asked_for_watched_and_done(client: PullsClient, tmp_path: Path) -> None:
    with serving({"/m.gguf": CONTENT}) as server:
        await client.limit(64 * MIB)
        await client.add(f"{server.url}/m.gguf", into(tmp_path))
        pull, news = await seen(client, lambda one: one.state.is_final)

    assert (pull.state, pull.problem) == (PullState.DONE, "")
    assert pull.placed == (str(tmp_path / "m.gguf"),)
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    done = [state.pulls[0].done_bytes for state in news if state.pulls]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)


async def test_a_killed_owner_is_followed_by_one_that_goes_on(
    client: PullsClient, tmp_path: Path
) -> None:
    with serving({"/m.gguf": CONTENT}) as server:
        await client.limit(SLOW)
        await client.add(f"{server.url}/m.gguf", into(tmp_path))
        before, _ = await seen(client, lambda one: one.done_bytes > 6 * MIB)
        owner = PullsHome().owner()
        assert owner is not None
        os.kill(owner.pid, signal.SIGKILL)
        await until(lambda: PullsHome().owner() is None)
        server.sent_bytes = 0

        await client.limit(None)
        pull, _ = await seen(client, lambda one: one.state.is_final)

        assert server.sent_bytes <= len(CONTENT) - before.done_bytes + 2 * MIB
    assert pull.state is PullState.DONE
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


async def test_the_owner_outlives_the_session_that_started_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.real.test_pulls_process import client_of_this_version, into\n"
        "async def ask():\n"
        "    client = client_of_this_version()\n"
        f"    await client.limit({SLOW})\n"
        "    await client.add(sys.argv[1], into(Path(sys.argv[2])))\n"
        "asyncio.run(ask())\n"
    )
    with serving({"/m.gguf": CONTENT}) as server:
        url = f"{server.url}/m.gguf"
        words = [sys.executable, "-c", program, url, str(tmp_path)]
        asking = await asyncio.create_subprocess_exec(
            *words, start_new_session=True, cwd=Path.cwd()
        )
        assert await asking.wait() == 0
        # What a dropped line does to the processes of a session.
        with suppress(ProcessLookupError):
            os.killpg(asking.pid, signal.SIGHUP)
        client = client_of_this_version()
        try:
            await client.limit(None)
            pull, _ = await seen(client, lambda one: one.state.is_final)
        finally:
            await ended(client)
    assert pull.state is PullState.DONE


async def test_two_clients_at_once_have_one_owner_and_one_download(
    client: PullsClient, tmp_path: Path
) -> None:
    with serving({"/m.gguf": CONTENT}) as server:
        url = f"{server.url}/m.gguf"
        others = [client_of_this_version() for _ in range(4)]
        ids = await asyncio.gather(*(one.add(url, into(tmp_path)) for one in others))
        await seen(client, lambda one: one.state.is_final)
        assert len(set(ids)) == 1
        assert server.sent_bytes <= len(CONTENT) + 10
    running = [one for one in psutil.process_iter() if is_owner(one)]
    assert len(running) == 1


async def test_pause_resume_cancel_and_retry(client: PullsClient, tmp_path: Path) -> None:
    with serving({"/m.gguf": CONTENT}) as server:
        await client.limit(SLOW)
        pull_id = await client.add(f"{server.url}/m.gguf", into(tmp_path))
        await seen(client, lambda one: one.done_bytes > 2 * MIB)
        await client.pause(pull_id)
        await seen(client, lambda one: one.state is PullState.PAUSED)
        await client.resume(pull_id)
        await seen(client, lambda one: one.state is PullState.RUNNING)
        await client.cancel(pull_id)
        await seen(client, lambda one: one.state is PullState.CANCELLED)
        await empty(tmp_path)
        await client.limit(None)
        await client.resume(pull_id)
        pull, _ = await seen(client, lambda one: one.state.is_final)
        assert pull.state is PullState.DONE
        await client.clear()
        assert (await client.list()).pulls == ()


async def test_what_was_paused_when_its_owner_was_killed_is_given_up_too(
    client: PullsClient, tmp_path: Path
) -> None:
    with serving({"/m.gguf": CONTENT}) as server:
        await client.limit(SLOW)
        pull_id = await client.add(f"{server.url}/m.gguf", into(tmp_path))
        await seen(client, lambda one: one.done_bytes > 2 * MIB)
        owner = PullsHome().owner()
        assert owner is not None
        psutil.Process(owner.pid).kill()
        await until(lambda: not alive(owner.pid))
        await client.pause(pull_id)
        await seen(client, lambda one: one.state is PullState.PAUSED)
        assert await asyncio.to_thread(lambda: any(tmp_path.rglob("*.part")))
        await client.cancel(pull_id)
        await empty(tmp_path)


async def test_a_failure_says_why_and_what_to_do(client: PullsClient, tmp_path: Path) -> None:
    with serving({}) as server:
        await client.add(f"{server.url}/m.gguf", into(tmp_path))
        pull, _ = await seen(client, lambda one: one.state.is_final)
    assert pull.state is PullState.FAILED
    assert "no such file" in pull.problem
    assert pull.next_step


async def test_a_server_that_is_busy_is_waited_for(client: PullsClient, tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        await request.answer(429, {"Retry-After": 900})

    with serving({"/m.gguf": CONTENT}, behave) as server:
        await client.add(f"{server.url}/m.gguf", into(tmp_path))
        pull, _ = await seen(client, lambda one: one.state is PullState.WAITING)
    assert pull.retry_at is not None
    assert "900 seconds" in pull.problem


async def test_asking_for_what_is_no_target_or_no_pull(client: PullsClient, tmp_path: Path) -> None:
    with pytest.raises(PullError, match="names no repository"):
        await client.add("hf:../x", into(tmp_path))
    with pytest.raises(PullError, match="no such download"):
        await client.pause("nothing")
    with pytest.raises(PullError, match="1 KiB"):
        await client.limit(5)


async def test_rubbish_on_the_socket_ends_that_connection_alone(client: PullsClient) -> None:
    await client.list()
    await client.clear()
    owner = PullsHome().owner()
    assert owner is not None
    for rubbish in (b"\x00\xff\n", b"[1]\n", b'{"ask": 5}\n', b"x" * 100):
        with socket.socket(socket.AF_UNIX) as there:
            there.connect(str(owner.socket))
            there.sendall(rubbish)
    assert (await client.list()).pulls == ()
    assert owner.socket.parent.stat().st_mode & 0o077 == 0
    assert owner.socket.stat().st_mode & 0o177 == 0


async def test_an_owner_with_nothing_to_do_leaves() -> None:
    words = [sys.executable, "-m", "modeldeck.engines.pulls", "0.2"]
    owner = await asyncio.create_subprocess_exec(*words)
    assert await owner.wait() == 0
    assert PullsHome().owner() is None


async def test_a_queue_that_cannot_be_read_is_set_aside(client: PullsClient) -> None:
    home = PullsHome()
    home.queue.write_text("{nonsense")
    await client.limit(None)
    assert (await client.list()).pulls == ()
    assert home.queue.with_suffix(".unreadable").read_text() == "{nonsense"


async def test_no_token_is_written_down_or_on_a_command_line(
    client: PullsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving({}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        await client.add("hf:o/n", into(tmp_path))
        await seen(client, lambda one: one.state.is_final)
        assert any("Authorization" in request.headers for request in server.seen)
    owner = PullsHome().owner()
    assert owner is not None
    assert "hf_secret" not in " ".join(psutil.Process(owner.pid).cmdline())
    for path in PullsHome().folder.iterdir():
        if path.is_file():
            assert b"hf_secret" not in path.read_bytes()
