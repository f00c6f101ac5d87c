"""Ollama as an engine, held to the contract by the protocol in front of real llama.cpp."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from modeldeck.engines.adapters.ollama import OllamaEngine
from modeldeck.engines.chat import ChatEvent, ChatMessage, ChatRequest, TextDelta, Usage
from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import (
    EngineDied,
    EngineError,
    EngineMissing,
    LoadFailed,
    RequestRefused,
    SettingsError,
)
from modeldeck.engines.fit.commands import ollama_options
from modeldeck.engines.testing import EngineContract, EngineHarness, ask, question, words_of
from modeldeck.engines.text import UNSAFE
from modeldeck.engines.types import AlsoSeen, LoadedModel, LocalModel, Plan, Source
from tests.servers.ollama import VERSION, Fault, OllamaState, ollama_running
from tests.support.llama_server import install

PLAN = Plan(context_tokens=256)


def stored(model: LocalModel, name: str) -> LocalModel:
    """``model`` as the catalog lists it out of Ollama's store."""
    return model._replace(name=name, source=Source.OLLAMA)


@pytest.mark.real
class TestOllama(EngineContract):
    @pytest.fixture
    def harness(
        self,
        slow_model: LocalModel,
        broken_model: LocalModel,
        seeing_model: LocalModel,
        tmp_path: Path,
    ) -> Generator[EngineHarness]:
        models = {
            "slow:latest": stored(slow_model, "slow:latest"),
            "broken:latest": stored(broken_model, "broken:latest"),
            "seeing:latest": stored(seeing_model, "seeing:latest"),
        }
        state = OllamaState(models, install(tmp_path / "bin"))
        with ollama_running(state) as url:

            def make() -> Engine:
                engine = OllamaEngine()
                engine.configure({"url": url})
                return engine

            def kill(engine: Engine, loaded: LoadedModel) -> None:
                state.kill()

            yield EngineHarness(
                make=make,
                model=models["slow:latest"],
                broken=models["broken:latest"],
                seeing=models["seeing:latest"],
                kill=kill,
            )


@pytest.fixture
def state(tiny_model: LocalModel, slow_model: LocalModel, tmp_path: Path) -> OllamaState:
    models = {name: stored(model, name) for name, model in _named(tiny_model, slow_model)}
    return OllamaState(models, install(tmp_path / "bin"))


def _named(tiny: LocalModel, slow: LocalModel) -> list[tuple[str, LocalModel]]:
    return [("tiny:latest", tiny), ("slow:latest", slow)]


@asynccontextmanager
async def deck_at(state: OllamaState, **settings: object) -> AsyncGenerator[OllamaEngine]:
    with ollama_running(state) as url:
        engine = OllamaEngine()
        engine.configure({"url": url, **settings})
        try:
            yield engine
        finally:
            state.fault = ""
            state.released.set()
            await engine.close()


async def test_where_no_ollama_runs_it_says_how_to_get_one(
    tiny_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with socket.socket() as taken:  # bound and not listening: refused at once
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{taken.getsockname()[1]}")
        engine = OllamaEngine()
        probe = await engine.probe()
        with pytest.raises(EngineMissing):
            await engine.load(stored(tiny_model, "tiny:latest"), PLAN)

    assert not probe.available
    assert not probe.installed
    assert probe.command.startswith("curl ")
    assert not await engine.models()
    await engine.close()


async def test_one_that_is_installed_and_stands_still_is_to_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ollama").write_text("#!/bin/sh\n")
    (tmp_path / "ollama").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{taken.getsockname()[1]}")
        probe = await OllamaEngine().probe()

    assert (probe.available, probe.installed, probe.command) == (False, True, "ollama serve")


@pytest.mark.parametrize("url", ["", "ftp://here", "http://", "http://h:99999", 7])
def test_an_address_that_cannot_be_one_is_said(url: object) -> None:
    engine = OllamaEngine()
    if url == "":
        engine.configure({"url": url})
    else:
        with pytest.raises(SettingsError, match="url"):
            engine.configure({"url": url})


@pytest.mark.real
async def test_a_load_is_told_the_plan_and_every_question_the_same(state: OllamaState) -> None:
    plan = Plan(context_tokens=512, micro_batch_tokens=64, gpu_layers=0, threads=2)
    async with deck_at(state, keep_alive="5m") as engine:
        assert (await engine.probe()).build == VERSION
        loaded = await engine.load(state.models["tiny:latest"], plan)
        runner = state.runners["tiny:latest"]
        await ask(engine, question(loaded, max_tokens=3))

        assert loaded.context_tokens == 512
        assert loaded.device == "CPU"
        assert state.runners["tiny:latest"] is runner, "it was loaded anew for the question"
    wanted = {**ollama_options(plan), "use_mmap": True, "num_thread": 2}
    told = [body for path, body in state.asked if path == "/api/generate" and "options" in body]
    (chat,) = (body for path, body in state.asked if path == "/api/chat")
    assert [body["options"] for body in told] == [wanted]
    assert chat["options"] == {**wanted, "seed": 1, "num_predict": 3}
    assert told[0]["keep_alive"] == chat["keep_alive"] == "5m"
    assert not state.runners


@pytest.mark.parametrize(
    "plan",
    [
        PLAN._replace(kv_type="q8_0"),
        PLAN._replace(slots=2),
        PLAN._replace(cpu_moe_blocks=1),
        PLAN._replace(swa_full=True),
    ],
)
async def test_what_ollama_cannot_be_told_is_refused(state: OllamaState, plan: Plan) -> None:
    with pytest.raises(LoadFailed, match="Ollama cannot do that"):
        await OllamaEngine().load(state.models["tiny:latest"], plan)


async def test_only_models_of_its_own_store_are_its_business(tiny_model: LocalModel) -> None:
    info = OllamaEngine().info
    also = AlsoSeen("tiny:latest", Source.OLLAMA, tiny_model.path)

    assert not info.runs(tiny_model)
    assert info.runs(stored(tiny_model, "tiny:latest"))
    assert info.runs(tiny_model._replace(also=(also,)))
    with pytest.raises(LoadFailed, match="not in Ollama's store"):
        await OllamaEngine().load(tiny_model, PLAN)


@pytest.mark.real
@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("wants a key", RequestRefused, "api_key_env"),
        ("too busy", RequestRefused, "Wait for 7 s"),
        ("garbage", RequestRefused, "cannot be read"),
        ("hangs up", EngineDied, "Ollama"),
        ("half a line", EngineDied, "Ollama"),
        ("hangs", RequestRefused, "sent nothing for 0.4 s"),
    ],
)
async def test_each_way_to_go_wrong_in_a_reply_is_said(
    state: OllamaState, fault: Fault, error: type[EngineError], words: str
) -> None:
    async with deck_at(state, silence_seconds=0.4) as engine:
        loaded = await engine.load(state.models["tiny:latest"], PLAN)
        await ask(engine, question(loaded, max_tokens=2))
        state.fault = fault
        with pytest.raises(error) as failed:
            await ask(engine, question(loaded, max_tokens=50))

        assert words in str(failed.value)
        assert failed.value.next_step
        state.fault = ""
        assert bool(state.runners) == bool(await engine.models()), "memory that nobody gives back"
        assert not UNSAFE.search(str(failed.value))


@pytest.mark.real
async def test_one_too_busy_to_say_has_not_lost_the_model(state: OllamaState) -> None:
    async with deck_at(state) as engine:
        loaded = await engine.load(state.models["tiny:latest"], PLAN)
        state.fault = "too busy"
        assert list(await engine.models()) == [loaded]
        assert await engine.answers(loaded.instance)
        state.fault = ""
        state.unload("tiny:latest")  # somebody else stops it: ollama stop
        assert not await engine.models()


@pytest.mark.real
async def test_what_is_no_ollama_is_told_by_its_answers(state: OllamaState) -> None:
    async with deck_at(state) as engine:
        state.fault = "garbage"
        probe = await engine.probe()

    assert not probe.available
    assert "cannot be read" in probe.problem
    assert not UNSAFE.search(probe.problem)


@pytest.mark.real
async def test_a_key_is_sent_and_never_shown(
    state: OllamaState, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BOX_KEY", "s3cret")
    state.fault = "wants a key"
    caplog.set_level(0)
    async with deck_at(state, api_key_env="BOX_KEY") as engine:
        loaded = await engine.load(state.models["tiny:latest"], PLAN)
        assert words_of(await ask(engine, question(loaded, max_tokens=2)))

    assert state.key == "Bearer s3cret"
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(loaded)


LONG = ChatMessage("user", "why is the sky blue " * 100)


@pytest.mark.real
async def test_a_conversation_that_is_too_long_is_refused_and_not_cut(state: OllamaState) -> None:
    async with deck_at(state) as engine:
        loaded = await engine.load(state.models["tiny:latest"], PLAN)
        with pytest.raises(RequestRefused, match="longer than the context"):
            await ask(engine, ChatRequest(loaded.instance, (LONG,)))


@pytest.mark.real
async def test_an_old_ollama_that_cuts_without_a_word_is_found_out(state: OllamaState) -> None:
    state.old = True
    seen: list[object] = []

    async def listen(events: AsyncGenerator[ChatEvent, None]) -> None:
        while True:
            seen.append(await anext(events))

    async with deck_at(state) as engine:
        loaded = await engine.load(state.models["tiny:latest"], PLAN)
        long = question(loaded, LONG.content, max_tokens=4)
        with pytest.raises(RequestRefused, match=r"read \d+ tokens .* at least 500") as refused:
            await listen(engine.chat(long))
        short = await ask(engine, question(loaded, max_tokens=4))

    assert "larger context" in refused.value.next_step
    assert any(isinstance(event, TextDelta) for event in seen), "what was said stands"
    assert any(isinstance(event, Usage) for event in short)


@pytest.mark.real
async def test_ollamas_own_client_finds_all_it_looks_for(state: OllamaState) -> None:
    """The reading of the protocol is judged by the client that Ollama itself publishes."""
    from ollama import AsyncClient

    with ollama_running(state) as url:
        client: Any = AsyncClient(host=url, trust_env=False)
        listed = await client.list()
        options: dict[str, Any] = {"num_ctx": 256, "num_predict": 6, "seed": 1}
        loading = await client.generate(model="tiny:latest", options=options)
        held = await client.ps()
        asked = [{"role": "user", "content": "Why?"}]
        told = await client.chat(model="tiny:latest", messages=asked, options=options, stream=True)
        parts = [part async for part in told]
        ended = await client.generate(model="tiny:latest", keep_alive=0)
        left = await client.ps()
        await client.close()

    assert {model.model for model in listed.models} == set(state.models)
    assert loading.done_reason == "load"
    assert [(model.name, model.context_length) for model in held.models] == [("tiny:latest", 256)]
    assert all(part.message.role == "assistant" for part in parts)
    assert "".join(part.message.content or "" for part in parts)
    assert parts[-1].done_reason == "length"
    assert parts[-1].eval_count == 6
    assert (parts[-1].prompt_eval_count or 0) > 0
    assert (parts[-1].eval_duration or 0) > 0
    assert ended.done_reason == "unload"
    assert not left.models


@pytest.mark.real
async def test_what_others_had_ollama_load_is_left_alone(state: OllamaState) -> None:
    async with deck_at(state) as engine:
        await asyncio.to_thread(state.load, "slow:latest", {"num_ctx": 256})
        loaded = await engine.load(state.models["tiny:latest"], PLAN)

        assert list(await engine.models()) == [loaded]
        await engine.close()
        assert list(state.runners) == ["slow:latest"]
