"""llama.cpp's own programs, compiled here: the real counterparts of what the deck drives."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from modeldeck.engines.adapters.llama_cpp_python import LlamaCppPythonEngine
from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.chat import ChatMessage, ChatRequest, Sampling
from modeldeck.engines.contract import Engine
from modeldeck.engines.demo import model_path
from modeldeck.engines.fit.dry_runner import DryRunner
from modeldeck.engines.fit.sizing_library import own_library, packaged_library
from modeldeck.engines.testing import EngineContract, EngineHarness, ask, words_of
from modeldeck.engines.types import LoadedModel, LocalModel, Plan
from tests.engines.conftest import local_model
from tests.support.large_headers import eight_billion

pytestmark = pytest.mark.engines

QUESTIONS = ("How do I quit?", "Which command lists my models?", "how do i switch the model")


def output(*words: str) -> str:
    """What a program prints; it must end well."""
    ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    return ran.stdout + ran.stderr


def started(program: Path, *words: str) -> subprocess.Popen[bytes]:
    """A program left running, in a process group of its own."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        [str(program), *words], stdout=quiet, stderr=quiet, start_new_session=True
    )


def kill(engine: Engine, loaded: LoadedModel) -> None:
    assert loaded.pid is not None
    os.kill(loaded.pid, signal.SIGKILL)


def real_server(tools: Path) -> LlamaServerEngine:
    engine = LlamaServerEngine()
    engine.configure({"binary": str(tools / "llama-server")})
    return engine


class TestRealLlamaServer(EngineContract):
    @pytest.fixture
    def harness(
        self, tools: Path, slow_model: LocalModel, broken_model: LocalModel
    ) -> EngineHarness:
        return EngineHarness(
            make=lambda: real_server(tools), model=slow_model, broken=broken_model, kill=kill
        )


async def greedy(engine: Engine) -> list[str]:
    """The answers of the demo model when nothing is left to chance."""
    try:
        plan = Plan(context_tokens=1024, threads=1, gpu_layers=0)
        loaded = await engine.load(local_model(model_path()), plan)
        answers: list[str] = []
        for asked in QUESTIONS:
            sampling = Sampling(temperature=0.0, max_tokens=60)
            request = ChatRequest(loaded.instance, (ChatMessage("user", asked),), sampling)
            answers.append(words_of(await ask(engine, request)))
        return answers
    finally:
        await engine.close()


async def test_three_ways_into_llama_cpp_answer_alike(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await greedy(real_server(tools))
    library = await greedy(LlamaCppPythonEngine())
    monkeypatch.setenv("PATH", "")
    wheel = await greedy(LlamaServerEngine())

    assert all(server)
    assert server == library
    assert server == wheel


async def test_a_plan_with_several_slots_is_made_as_it_stands(tools: Path) -> None:
    engine = real_server(tools)
    try:
        plan = Plan(context_tokens=1024, slots=2, threads=1, kv_type="q8_0")
        loaded = await engine.load(local_model(model_path()), plan)
        assert loaded.context_tokens >= 1024
    finally:
        await engine.close()


async def test_the_probe_names_build_and_device(tools: Path) -> None:
    probe = await real_server(tools).probe()
    assert probe.available
    assert probe.build
    assert probe.where == str(tools / "llama-server")


@pytest.fixture
async def router(tools: Path, tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """A llama-server without a model, which loads what it is asked for."""
    (tmp_path / "demo.gguf").symlink_to(model_path())
    address = tmp_path / "router.sock"
    words = ("--host", str(address), "--models-dir", str(tmp_path), "--offline")
    process = started(tools / "llama-server", *words)
    transport = httpx.AsyncHTTPTransport(uds=str(address))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://router") as client:
            end = time.monotonic() + 30
            while time.monotonic() < end:
                try:
                    if (await client.get("/health")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
            yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


async def test_the_router_lists_what_it_could_load(router: httpx.AsyncClient) -> None:
    models = (await router.get("/models")).json()["data"]
    assert [model["id"] for model in models] == ["demo"]
    assert models[0]["status"]["value"] == "unloaded"


def test_llama_bench_measures_a_model(tools: Path) -> None:
    words = ("-m", str(model_path()), "-p", "32", "-n", "8", "-r", "1", "-o", "json")
    text = output(str(tools / "llama-bench"), *words)
    results = json.loads(text[text.index("[") : text.rindex("]") + 1])
    assert {result["n_prompt"] for result in results} == {32, 0}
    assert all(result["avg_ts"] > 0 for result in results)


def test_llama_fit_params_sizes_a_model(tools: Path) -> None:
    text = output(str(tools / "llama-fit-params"), "-m", str(model_path()), "-c", "512")
    assert re.search(r"-c\s+\d+|-ngl", text)


def test_a_build_of_ones_own_is_asked_for_sizes_like_the_wheel(tools: Path, tmp_path: Path) -> None:
    outline = eight_billion(tmp_path)
    own = own_library(str(tools))
    assert own is not None
    runners = DryRunner(own), DryRunner(packaged_library())
    try:
        for plan in (Plan(8192, gpu_layers=0), Plan(32768, "q8_0", slots=4, gpu_layers=0)):
            (built,), (packaged,) = (runner.run([outline], plan) for runner in runners)
            assert built.weights_bytes == packaged.weights_bytes
            assert built.cache_bytes == packaged.cache_bytes
            assert built.compute_bytes > 0
    finally:
        for runner in runners:
            runner.close()


def test_the_rpc_server_listens_where_it_is_told(tools: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = started(tools / "ggml-rpc-server", "-H", "127.0.0.1", "-p", str(port))
    try:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < end
    finally:
        process.terminate()
        process.wait(10)
