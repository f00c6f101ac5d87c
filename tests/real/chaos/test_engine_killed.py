"""kill -9 of the engine at random moments: a clear message, the words kept, the next load works.

The moments are drawn from fixed seeds, which a failing test prints.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.errors import EngineDied, LoadFailed, ModeldeckError
from modeldeck.engines.meter import Phase
from modeldeck.engines.types import LoadedModel, LocalModel
from modeldeck.tui.reply import ReplyUpdate
from tests.real.chaos.conftest import Desk
from tests.support.census import wait_for_same
from tests.support.headless import CPU_PLAN, engine_processes, engine_started, model_at

pytestmark = pytest.mark.real

LONG_QUESTION = "w1 w2 w3 " * 300
"""Its prefill takes seconds with the slow model."""


class Reached:
    """Waits until a reply, whose updates it is given, is in a phase and has so many tokens."""

    def __init__(self, phase: Phase, tokens: int = 0) -> None:
        self._phase, self._tokens = phase, tokens
        self._reached = asyncio.Event()
        self.wait = self._reached.wait

    def __call__(self, update: ReplyUpdate) -> None:
        reading = update.reading
        if reading.phase == self._phase and (reading.completion_tokens or 0) >= self._tokens:
            self._reached.set()


def kill_engine() -> None:
    (engine,) = engine_processes()
    engine.kill()


def seeds(phase: str, count: int) -> list[random.Random]:
    """The chances of each moment of a phase; the first ones are the same however many there are."""
    print("seeds:", *(f"{phase} {number}" for number in range(count)), sep="\n  ")
    return [random.Random(f"{phase} {number}") for number in range(count)]


def has_words(error: ModeldeckError | None, kind: type[ModeldeckError]) -> None:
    """The error says what happened, by the signal's name, and what to do now."""
    assert isinstance(error, kind), error
    assert "SIGKILL" in error.cause
    assert "slow" in error.cause
    assert error.next_step.endswith(".")


async def killed_in_load(
    engine: LlamaServerEngine, model: LocalModel, chance: random.Random
) -> None:
    """Kill the engine at a moment of a load; one that was too late is tried again, sooner."""
    plan = CPU_PLAN._replace(mmap=chance.random() < 0.5)
    wait_s = chance.uniform(0, 0.4)
    while True:
        load = asyncio.create_task(engine.load(model, plan))
        await engine_started()
        await asyncio.sleep(wait_s)
        if not load.done():
            kill_engine()
        (result,) = await asyncio.gather(load, return_exceptions=True)
        if not isinstance(result, LoadedModel):
            break
        await engine.unload(result.instance)
        wait_s /= 2
    assert isinstance(result, ModeldeckError)
    has_words(result, LoadFailed)


@pytest.mark.parametrize("count", [2, pytest.param(8, marks=pytest.mark.chaos)])
async def test_in_a_load(desk: Desk, slow_model: Path, count: int) -> None:
    model = model_at(slow_model)
    await desk.warm_up(model)
    before = desk.census()
    for chance in seeds("load", count):
        await killed_in_load(desk.engine, model, chance)
        wait_for_same(before, desk.census)
    loaded = await desk.engine.load(model, CPU_PLAN)
    answer = await desk.ask(loaded, "Go on", most_tokens=5)
    assert answer.kept.text
    await desk.engine.unload(loaded.instance)
    wait_for_same(before, desk.census)


@pytest.mark.parametrize("count", [2, pytest.param(8, marks=pytest.mark.chaos)])
async def test_a_load_is_called_off(desk: Desk, slow_model: Path, count: int) -> None:
    model = model_at(slow_model)
    await desk.warm_up(model)
    before = desk.census()
    for chance in seeds("call off", count):
        load = asyncio.create_task(desk.engine.load(model, CPU_PLAN))
        await asyncio.sleep(chance.uniform(0, 0.4))
        load.cancel()
        (result,) = await asyncio.gather(load, return_exceptions=True)
        if isinstance(result, LoadedModel):  # it was there already
            await desk.engine.unload(result.instance)
        wait_for_same(before, desk.census)


@pytest.mark.parametrize("count", [1, pytest.param(8, marks=pytest.mark.chaos)])
async def test_in_prefill(desk: Desk, slow_model: Path, count: int) -> None:
    model = model_at(slow_model)
    await desk.warm_up(model)
    before = desk.census()
    for chance in seeds("prefill", count):
        loaded = await desk.engine.load(model, CPU_PLAN)
        asking = asyncio.create_task(desk.ask(loaded, LONG_QUESTION, reached := Reached("prefill")))
        await reached.wait()
        await asyncio.sleep(chance.uniform(0, 3))
        kill_engine()
        answer = await asking
        has_words(answer.end.error, EngineDied)
        assert answer.streamed == answer.kept.text == ""
        assert answer.kept.state == "failed"
        assert await desk.engine.models() == ()
        wait_for_same(before, desk.census)


@pytest.mark.parametrize("count", [2, pytest.param(8, marks=pytest.mark.chaos)])
async def test_in_decode(desk: Desk, slow_model: Path, count: int) -> None:
    model = model_at(slow_model)
    await desk.warm_up(model)
    before = desk.census()
    for chance in seeds("decode", count):
        loaded = await desk.engine.load(model, CPU_PLAN)
        reached = Reached("decode", tokens=chance.randint(1, 80))
        asking = asyncio.create_task(desk.ask(loaded, "Go on", reached))
        await reached.wait()
        kill_engine()
        answer = await asking
        has_words(answer.end.error, EngineDied)
        assert answer.streamed
        assert answer.kept.text == answer.streamed
        assert answer.kept.state == "failed"
        assert "SIGKILL" in answer.kept.error
        assert await desk.engine.models() == ()
        wait_for_same(before, desk.census)
