"""The engine hangs (SIGSTOP): that is said, it goes on when it can, and it can be ended.

It hangs for as long as it takes to be noticed; in the long form for half a minute.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import psutil
import pytest

from modeldeck.engines.adapters.llama_server_instance import SILENT
from modeldeck.engines.types import LoadProgress
from modeldeck.tui.reply import ReplyUpdate
from tests.real.chaos.conftest import Desk
from tests.real.chaos.test_engine_killed import LONG_QUESTION, Reached
from tests.support.census import wait_for_same
from tests.support.headless import CPU_PLAN, engine_processes, engine_started, model_at

pytestmark = pytest.mark.real

LONG_S = 30.0
IN_FULL = pytest.mark.chaos


class Heard:
    """The updates of a reply, and the moments at which it fell silent and spoke again."""

    def __init__(self) -> None:
        self.updates: list[ReplyUpdate] = []
        self.silent = asyncio.Event()
        self.again = asyncio.Event()

    def __call__(self, update: ReplyUpdate) -> None:
        self.updates.append(update)
        if update.silent:
            self.silent.set()
        elif self.silent.is_set():
            self.again.set()


def stop_engine() -> psutil.Process:
    (engine,) = engine_processes()
    engine.send_signal(signal.SIGSTOP)
    return engine


@pytest.mark.parametrize(
    ("phase", "least_s"),
    [
        ("decode", 0.0),
        pytest.param("decode", LONG_S, marks=IN_FULL),
        pytest.param("prefill", 0.0, marks=IN_FULL),
    ],
)
async def test_an_answer_goes_on_after_it(
    desk: Desk, slow_model: Path, phase: str, least_s: float
) -> None:
    loaded = await desk.engine.load(model_at(slow_model), CPU_PLAN)
    question = LONG_QUESTION[:1000] if phase == "prefill" else "Go on"
    reached = Reached("prefill") if phase == "prefill" else Reached("decode", tokens=5)
    heard = Heard()

    def take(update: ReplyUpdate) -> None:
        heard(update)
        reached(update)

    asking = asyncio.create_task(desk.ask(loaded, question, take, most_tokens=30, patience_s=0.3))
    await reached.wait()
    # One that works hard is not called silent.
    await asyncio.sleep(1.0 if phase == "prefill" else 0)
    assert not heard.silent.is_set()
    engine = stop_engine()
    await heard.silent.wait()
    await asyncio.sleep(least_s)
    assert not heard.again.is_set()
    engine.resume()
    answer = await asking
    assert heard.again.is_set()
    assert (answer.end.reason, answer.end.error) == ("length", None)
    assert answer.end.reading.completion_tokens == 30
    assert answer.kept.text == answer.streamed
    await desk.engine.unload(loaded.instance)


@pytest.mark.chaos
@pytest.mark.parametrize("least_s", [0.0, LONG_S])
async def test_a_load_goes_on_after_it(desk: Desk, slow_model: Path, least_s: float) -> None:
    steps: list[LoadProgress] = []
    silent = asyncio.Event()

    def take(step: LoadProgress) -> None:
        steps.append(step)
        if step.stage == SILENT:
            silent.set()

    load = asyncio.create_task(desk.engine.load(model_at(slow_model), CPU_PLAN, take))
    engine = await engine_started()
    engine.send_signal(signal.SIGSTOP)
    await silent.wait()
    await asyncio.sleep(least_s)
    assert not load.done()
    engine.resume()
    loaded = await load
    stages = [step.stage for step in steps]
    assert stages.count(SILENT) == 1, "it is said once"
    assert stages[-1] == "ready"
    answer = await desk.ask(loaded, "Go on", most_tokens=5)
    assert answer.kept.text
    await desk.engine.unload(loaded.instance)


@pytest.mark.parametrize(
    "way",
    [
        "stop and unload",
        pytest.param("unload", marks=IN_FULL),
        pytest.param("close", marks=IN_FULL),
        pytest.param("call off the load", marks=IN_FULL),
    ],
)
async def test_it_can_be_ended_while_it_hangs(desk: Desk, slow_model: Path, way: str) -> None:
    model = model_at(slow_model)
    await desk.warm_up(model)
    before = desk.census()
    load = asyncio.create_task(desk.engine.load(model, CPU_PLAN))
    if way == "call off the load":
        (await engine_started()).send_signal(signal.SIGSTOP)
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
        wait_for_same(before, desk.census)
        return
    loaded = await load
    reached = Reached("decode", tokens=5)
    asking = asyncio.create_task(desk.ask(loaded, "Go on", reached))
    await reached.wait()
    stop_engine()
    if way == "stop and unload":
        asking.cancel()
        answer = await asking
        assert answer.end.reason == "cancelled"
        await desk.engine.unload(loaded.instance)
    else:
        await (desk.engine.close() if way == "close" else desk.engine.unload(loaded.instance))
        answer = await asking
        assert answer.end.error is not None
        assert answer.end.error.next_step
    assert answer.streamed
    assert answer.kept.text == answer.streamed
    wait_for_same(before, desk.census)
