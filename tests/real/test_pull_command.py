"""``modeldeck pull`` and ``modeldeck pulls``, as typed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modeldeck.engines.pulls.home import PullsHome
from modeldeck.engines.units import MIB
from tests.real.test_pulls_process import client_of_this_version, ended, seen
from tests.support.file_server import serving
from tests.support.hub import repository

CONTENT = bytes(os.urandom(MIB)) * 20
COMMIT = "c0ffee" + "0" * 34


@pytest.fixture(autouse=True)
async def owner() -> AsyncIterator[None]:
    yield
    if PullsHome().owner() is not None:
        await ended(client_of_this_version())


async def typed(*words: str, interrupt: bool = False) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.prefix) / "bin" / "modeldeck"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    if interrupt:
        client = client_of_this_version()
        await seen(client, lambda one: one.done_bytes > 0)
        process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_file_of_the_hub_is_pulled_and_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(repository("o/n", {"m-Q4_K_M.gguf": CONTENT}, commit=COMMIT)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        code, out, err = await typed("pull", "hf:o/n:Q4_K_M")
    assert code == 0
    assert await asyncio.to_thread(Path(out.strip()).read_bytes) == CONTENT
    assert f"snapshots/{COMMIT}/m-Q4_K_M.gguf" in out
    assert "done" in err


async def test_what_is_in_a_plain_folder_is_asked_for_newer_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my models"
    served = repository("o/n", {"m-Q4_K_M.gguf": CONTENT}, commit=COMMIT)
    newer = repository("o/n", {"m-Q4_K_M.gguf": CONTENT[:MIB]}, commit="d" * 40)
    with serving(served) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        code, _, _ = await typed("pull", "hf:o/n:Q4_K_M", "--to", str(folder))
        assert code == 0
        _, out, _ = await typed("updates", "--json")
        (update,) = json.loads(out)
        assert (update["name"], update["source"], update["state"]) == ("o/n", "folder", "current")
        server.files.clear()
        server.files.update(newer)
        _, out, err = await typed("updates")
    assert "newer" in out
    assert f"modeldeck pull hf:o/n:m-Q4_K_M.gguf --to '{folder}'" in err


async def test_json_has_stable_keys(tmp_path: Path) -> None:
    with serving({"/m.gguf": CONTENT}) as server:
        url = f"{server.url}/m.gguf"
        code, out, _ = await typed("pull", url, "--to", str(tmp_path), "--json")
    (pull,) = json.loads(out)
    assert code == 0
    assert pull["state"] == "done"
    assert pull["placed"] == [str(tmp_path / "m.gguf")]
    assert {"id", "target", "title", "done_bytes", "total_bytes", "files", "problem"} <= set(pull)


async def test_what_fails_says_why_and_exits_with_1(tmp_path: Path) -> None:
    with serving({}) as server:
        code, out, err = await typed("pull", f"{server.url}/m.gguf", "--to", str(tmp_path))
    assert (code, out) == (1, "")
    assert "no such file" in err
    assert "next: " in err


async def test_an_interrupt_leaves_it_going(tmp_path: Path) -> None:
    with serving({"/m.gguf": CONTENT}) as server:
        words = ("pull", f"{server.url}/m.gguf", "--to", str(tmp_path), "--limit", "512KiB")
        code, _, err = await typed(*words, interrupt=True)
        assert code == 130
        assert "goes on in the background" in err
        client = client_of_this_version()
        await client.limit(None)
        await seen(client, lambda one: one.state.is_final)
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


async def test_downloads_are_listed_and_steered(tmp_path: Path) -> None:
    with serving({"/m.gguf": CONTENT}) as server:
        url = f"{server.url}/m.gguf"
        words = ("pull", url, "--to", str(tmp_path), "--limit", "1MiB", "--no-wait")
        code, out, _ = await typed(*words)
        pull_id = out.split()[0]
        assert code == 0
        _, out, _ = await typed("pulls", "pause", pull_id)
        assert "paused" in out
        _, out, err = await typed("pulls", "limit", "0")
        assert "limit" not in err
        _, out, _ = await typed("pulls", "cancel", pull_id)
        assert "cancelled" in out
        _, out, _ = await typed("pulls", "clear")
        assert "No downloads" in out
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("pull",), 2, "TARGET"),
        (("pull", "qwen3"), 1, "names nothing"),
        (("pull", "hf:../x"), 1, "names no repository"),
        (("pull", "hf:o/n", "--limit", "5"), 2, "1 KiB"),
        (("pulls", "pause"), 2, "which one"),
        (("pulls", "pause", "nothing"), 1, "no such download"),
        (("pulls", "limit", "much"), 1, "no size"),
    ],
)
async def test_mistakes_have_a_cause_and_a_next_step(
    words: tuple[str, ...], code: int, said: str
) -> None:
    got, _, err = await typed(*words)
    assert got == code, err
    assert said in err
    assert "next: " in err
