"""llama-cpp-python, compiled here, in its worker."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil
import pytest

from modeldeck.engines.adapters.llama_cpp_python import LlamaCppPythonEngine
from modeldeck.engines.buffers import gpu_devices, total_bytes
from modeldeck.engines.chat import ChatMessage, ChatRequest, PrefillProgress, Sampling, Usage
from modeldeck.engines.contract import Engine
from modeldeck.engines.demo import model_path
from modeldeck.engines.errors import EngineDied, RequestRefused
from modeldeck.engines.testing import EngineContract, EngineHarness, ask, question, words_of
from modeldeck.engines.types import KvType, LoadedModel, LocalModel, Plan
from tests.engines.conftest import local_model
from tests.support.random_model import make_aborting_model

pytestmark = pytest.mark.engines

PLAN = Plan(context_tokens=1024, micro_batch_tokens=64, batch_tokens=256, threads=1)


def kill(engine: Engine, loaded: LoadedModel) -> None:
    assert loaded.pid is not None
    os.kill(loaded.pid, signal.SIGKILL)


class TestLlamaCppPython(EngineContract):
    @pytest.fixture
    def harness(
        self, slow_model: LocalModel, broken_model: LocalModel, seeing_model: LocalModel
    ) -> EngineHarness:
        return EngineHarness(
            make=LlamaCppPythonEngine,
            model=slow_model,
            broken=broken_model,
            seeing=seeing_model,
            kill=kill,
        )


@pytest.fixture
async def engine() -> AsyncGenerator[LlamaCppPythonEngine]:
    made = LlamaCppPythonEngine()
    yield made
    await made.close()


def usage_of(events: list[object]) -> Usage:
    (usage,) = [event for event in events if isinstance(event, Usage)]
    return usage


async def test_a_prompt_is_computed_micro_batch_by_micro_batch(
    engine: LlamaCppPythonEngine, tiny_model: LocalModel
) -> None:
    loaded = await engine.load(tiny_model, PLAN)
    events = await ask(engine, question(loaded, "word " * 100, max_tokens=1))

    steps = [event for event in events if isinstance(event, PrefillProgress)]
    assert len(steps) > 4
    assert steps[0].processed == 0
    assert steps[1].processed == 64
    assert steps[-1].processed == steps[-1].total == usage_of([*events]).prompt_tokens


async def test_what_was_computed_before_is_taken_from_the_cache(
    engine: LlamaCppPythonEngine, tiny_model: LocalModel
) -> None:
    loaded = await engine.load(tiny_model, PLAN)
    first = await ask(engine, question(loaded, "word " * 100, max_tokens=8))
    said = (
        ChatMessage("user", "word " * 100),
        ChatMessage("assistant", words_of(first)),
        ChatMessage("user", "go on"),
    )
    request = ChatRequest(loaded.instance, said, Sampling(seed=1, max_tokens=8))
    second = usage_of([*await ask(engine, request)])

    assert usage_of([*first]).cached_tokens == 0
    assert second.cached_tokens >= 100
    assert second.timings is not None
    assert second.timings.prompt_tokens == second.prompt_tokens - second.cached_tokens


async def test_the_rates_are_the_engines_own_and_leave_no_token_out(
    engine: LlamaCppPythonEngine, slow_model: LocalModel
) -> None:
    loaded = await engine.load(slow_model, PLAN)
    usage = usage_of([*await ask(engine, question(loaded, max_tokens=20))])

    assert usage.timings is not None
    assert usage.timings.source == "engine"
    assert usage.timings.decoded_tokens == usage.completion_tokens == 20
    assert usage.timings.decode_ns > 0
    counters = await engine.metrics(loaded.instance)
    assert counters["tokens_predicted_total"] == 20
    assert counters["prompt_tokens_total"] == usage.prompt_tokens


async def test_a_prompt_longer_than_the_context_is_refused_with_both_lengths(
    engine: LlamaCppPythonEngine, tiny_model: LocalModel
) -> None:
    loaded = await engine.load(tiny_model, PLAN)
    with pytest.raises(RequestRefused, match=r"tokens long and the context holds 1024"):
        await ask(engine, question(loaded, "word " * 2000))
    assert words_of(await ask(engine, question(loaded, max_tokens=4)))


async def test_an_answer_ends_where_the_context_does(
    engine: LlamaCppPythonEngine, tiny_model: LocalModel
) -> None:
    loaded = await engine.load(tiny_model, PLAN)
    usage = usage_of([*await ask(engine, question(loaded, "word " * 200))])

    assert usage.prompt_tokens + usage.completion_tokens <= 1024 + 1


async def test_nothing_listens_on_a_port(
    engine: LlamaCppPythonEngine, tiny_model: LocalModel
) -> None:
    loaded = await engine.load(tiny_model, PLAN)
    assert loaded.pid is not None
    tree = [psutil.Process(loaded.pid), *psutil.Process(loaded.pid).children(recursive=True)]

    assert not [c for process in tree for c in process.net_connections("inet")]


@pytest.mark.parametrize("kv_type", ["f16", "q8_0", "q4_0"])
async def test_the_plan_reaches_llama_cpp_whole(
    engine: LlamaCppPythonEngine, kv_type: KvType
) -> None:
    plan = Plan(
        context_tokens=512,
        kv_type=kv_type,
        slots=2,
        batch_tokens=256,
        micro_batch_tokens=128,
        threads=1,
        cpu_moe_blocks=1,
        mmap=False,
    )
    loaded = await engine.load(local_model(model_path()), plan)
    log = "\n".join(engine.log())

    assert loaded.context_tokens >= 512
    for said in (r"n_seq_max\s+= 2\b", r"n_batch\s+= 256\b", r"n_ubatch\s+= 128\b"):
        assert re.search(said, log)
    assert f"K ({kv_type})" in log
    assert words_of(await ask(engine, question(loaded, max_tokens=4)))


async def test_an_abort_of_llama_cpp_ends_the_worker_only(
    engine: LlamaCppPythonEngine, tiny_model: LocalModel, tmp_path: Path
) -> None:
    aborting = local_model(make_aborting_model(tiny_model.path, tmp_path / "aborts.gguf"))
    loaded = await engine.load(aborting, PLAN)
    with pytest.raises(EngineDied) as died:
        await ask(engine, question(loaded, max_tokens=2))

    assert "gave up on its own check (eps >= 0.0f)" in died.value.cause
    assert any("GGML_ASSERT" in line for line in died.value.log_tail)
    assert not await engine.models()
    again = await engine.load(tiny_model, PLAN)
    assert words_of(await ask(engine, question(again, max_tokens=2)))


async def test_it_hands_out_the_buffers_that_llama_cpp_names(
    engine: LlamaCppPythonEngine, tiny_model: LocalModel
) -> None:
    loaded = await engine.load(tiny_model, PLAN)
    buffers = engine.buffers(loaded.instance)

    assert {one.kind for one in buffers} >= {"weights", "kv", "compute", "output"}
    assert not gpu_devices(buffers)
    sized = re.compile(r" buffer size = +(\S+) MiB$")
    printed = [float(match[1]) for line in engine.log() if (match := sized.search(line))]
    assert total_bytes(buffers, on_host=True) == pytest.approx(sum(printed) * (1 << 20), abs=99)


def test_the_launch_command_uses_only_words_that_the_installed_server_knows() -> None:
    python = LlamaCppPythonEngine().launch_command(local_model(model_path()), PLAN)[0]
    settings = next(Path(python).parents[1].glob("lib/python*/site-packages/llama_cpp/server"))
    known = re.findall(r"^    (\w+): ", (settings / "settings.py").read_text("utf-8"), re.M)
    model = local_model(model_path())._replace(projector=Path("mmproj.gguf"))
    words = LlamaCppPythonEngine().launch_command(model, PLAN._replace(gpu_layers=0))

    options = [word.removeprefix("--") for word in words if word.startswith("--")]
    assert len(options) > 12
    assert set(options) <= set(known)
