"""The deck drives a ``llama-server`` executable: found, spoken to with its flags, kept private."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.chat import TextDelta
from modeldeck.engines.errors import EngineDied, LoadFailed, RequestRefused, SettingsError
from modeldeck.engines.testing import ask, question, words_of
from modeldeck.engines.types import LoadedModel, LoadProgress, LocalModel, Plan
from tests.support.llama_server import OLD_LACKS, install

pytestmark = pytest.mark.real

PLAN = Plan(context_tokens=512, slots=2, batch_tokens=256, micro_batch_tokens=128, threads=1)


@pytest.fixture
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sockets go, alone; a short path, as a socket's must be."""
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture
async def engine(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[LlamaServerEngine]:
    """An engine that finds ``llama-server`` on PATH."""
    binary = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{binary.parent}:{os.environ['PATH']}")
    made = LlamaServerEngine()
    yield made
    await made.close()
    assert entries(runtime) == []


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def command_line(loaded: LoadedModel) -> list[str]:
    assert loaded.pid is not None
    return psutil.Process(loaded.pid).cmdline()


def value_of(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


async def test_a_probe_asks_the_binary_for_its_build_and_cards(engine: LlamaServerEngine) -> None:
    probe = await engine.probe()

    assert probe.available
    assert "9876" in probe.build
    assert probe.where.endswith("/llama-server")
    assert [device.name for device in probe.devices] == ["CUDA0", "CPU"]
    assert probe.devices[0].memory_total_bytes == 12044 * 1024**2


async def test_the_plan_reaches_the_server_whole(
    engine: LlamaServerEngine, tiny_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "64")
    loaded = await engine.load(tiny_model, PLAN)
    words = command_line(loaded)

    flags = ("-c", "-np", "-b", "-ub", "-t", "-fa", "--fit")
    assert [value_of(words, flag) for flag in flags] == [
        *("512", "2", "256", "128", "1", "on", "off")
    ]
    assert loaded.context_tokens == 512
    assert not any("LLAMA_ARG" in line for line in engine.log())


async def test_the_socket_is_private_and_the_key_nowhere_to_be_read(
    engine: LlamaServerEngine, tiny_model: LocalModel, runtime: Path
) -> None:
    loaded = await engine.load(tiny_model, PLAN)
    assert loaded.pid is not None
    [folder] = entries(runtime)
    key = psutil.Process(loaded.pid).environ()["LLAMA_API_KEY"]

    assert folder.stat().st_mode & 0o777 == 0o700
    assert value_of(command_line(loaded), "--host") == str(folder / "llama.sock")
    assert len(key) >= 24
    assert key not in " ".join(command_line(loaded))
    assert not any(key in line for line in engine.log())
    await engine.unload(loaded.instance)
    assert entries(runtime) == []


async def test_what_a_killed_deck_left_behind_is_swept_away(
    engine: LlamaServerEngine, tiny_model: LocalModel, runtime: Path
) -> None:
    stale = runtime / "modeldeck-999999999-abc"
    stale.mkdir()
    (stale / "llama.sock").touch()
    other = runtime / f"modeldeck-{os.getpid()}-abc"
    other.mkdir()

    await engine.load(tiny_model, PLAN)

    assert not stale.exists()
    assert other.exists()
    other.rmdir()


async def test_a_path_too_long_for_a_socket_is_no_obstacle(
    engine: LlamaServerEngine,
    tiny_model: LocalModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))

    loaded = await engine.load(tiny_model, PLAN)

    assert words_of(await ask(engine, question(loaded, max_tokens=3)))
    assert entries(deep) == []


async def test_without_a_socket_the_server_listens_on_loopback_alone(
    engine: LlamaServerEngine, tiny_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_directory(**_: object) -> str:
        raise OSError

    monkeypatch.setattr("tempfile.mkdtemp", no_directory)
    loaded = await engine.load(tiny_model, PLAN)

    assert value_of(command_line(loaded), "--host") == "127.0.0.1"
    assert words_of(await ask(engine, question(loaded, max_tokens=3)))


async def test_an_old_build_is_spoken_to_in_its_own_flags(
    engine: LlamaServerEngine, tiny_model: LocalModel, tmp_path: Path
) -> None:
    old = install(tmp_path / "old", OLD_LACKS, old_flash_attention=True)
    engine.configure({"binary": str(old)})

    loaded = await engine.load(tiny_model, PLAN)

    assert "--fit" not in command_line(loaded)
    assert words_of(await ask(engine, question(loaded, max_tokens=3)))


async def test_a_binary_that_is_not_there_is_said_with_the_settings_line(
    engine: LlamaServerEngine,
) -> None:
    with pytest.raises(SettingsError, match="no/such"):
        engine.configure({"binary": "/no/such/llama-server"})


async def test_a_cut_file_fails_in_plain_words(
    engine: LlamaServerEngine, broken_model: LocalModel
) -> None:
    with pytest.raises(LoadFailed) as failed:
        await engine.load(broken_model, PLAN)

    assert "not within the file bounds" in failed.value.cause
    assert failed.value.log_tail
    assert not psutil.Process().children(recursive=True)


async def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(
    engine: LlamaServerEngine, tiny_model: LocalModel
) -> None:
    loaded = await engine.load(tiny_model, PLAN)

    with pytest.raises(RequestRefused, match=r"\d{4} tokens long and the context holds 512"):
        await ask(engine, question(loaded, "why " * 1000))
    assert words_of(await ask(engine, question(loaded, max_tokens=3)))


async def test_closing_an_answer_stops_the_decoding(
    engine: LlamaServerEngine, slow_model: LocalModel
) -> None:
    loaded = await engine.load(slow_model, PLAN)
    async with aclosing(engine.chat(question(loaded))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break

    async with asyncio.timeout(10):
        while (await engine.metrics(loaded.instance))["llamacpp:requests_processing"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    stopped = await engine.metrics(loaded.instance)
    await asyncio.sleep(0.3)

    after = await engine.metrics(loaded.instance)
    assert after["llamacpp:n_decode_total"] == stopped["llamacpp:n_decode_total"]


async def test_two_models_live_side_by_side_and_die_alone(
    engine: LlamaServerEngine, tiny_model: LocalModel
) -> None:
    first = await engine.load(tiny_model, PLAN)
    second = await engine.load(tiny_model, PLAN)
    assert list(await engine.models()) == [first, second]
    assert first.pid is not None

    os.kill(first.pid, signal.SIGKILL)

    with pytest.raises(EngineDied, match="SIGKILL"):
        await ask(engine, question(first))
    assert list(await engine.models()) == [second]
    assert words_of(await ask(engine, question(second, max_tokens=3)))


async def test_the_stages_of_a_load_are_told_in_order(
    engine: LlamaServerEngine, slow_model: LocalModel
) -> None:
    reported: list[LoadProgress] = []
    await engine.load(slow_model, PLAN, reported.append)

    stages = list(dict.fromkeys(step.stage for step in reported))
    assert stages == ["starting", "reading weights", "making the context", "warming up", "ready"]


def test_the_launch_command_is_what_a_person_would_type(tiny_model: LocalModel) -> None:
    words = LlamaServerEngine().launch_command(tiny_model, Plan(cpu_moe_blocks=3, mmap=False))

    assert words[:3] == ("llama-server", "-m", str(tiny_model.path))
    assert "--host" not in words
    assert words[words.index("--n-cpu-moe") :][:2] == ("--n-cpu-moe", "3")
    assert not any("key" in word for word in words)
