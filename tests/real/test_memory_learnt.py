"""Loads with the real engine teach the next verdicts what models take of this machine's memory."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.buffers import total_bytes
from modeldeck.engines.types import LocalModel, ModelFormat, Plan, Source
from tests.real.test_first_loop import put_cursor_on
from tests.support.machine import Machine
from tests.support.terminal import modeldeck_command

pytestmark = pytest.mark.real

MIB = 1 << 20


def run(machine: Machine, *words: str) -> str:
    done = subprocess.run(
        modeldeck_command(*words),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=machine.environ(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fit(machine: Machine, context: int) -> dict[str, Any]:
    words = ("fit", str(machine.models / "second.gguf"), "--ngl", "0", "--ctx", str(context))
    found: list[dict[str, Any]] = json.loads(run(machine, *words, "--json"))
    return found[0]


def chat(machine: Machine, context: int) -> None:
    run(machine, "chat", "-m", "second", "--ctx", str(context), "How do I quit?")


async def test_the_second_verdict_is_what_the_first_load_took(machine: Machine) -> None:
    before = fit(machine, 1024)
    assert before["source"] == "closed-form"
    chat(machine, 1024)
    after = fit(machine, 1024)
    assert (after["source"], after["verdict"]) == ("measured", "cpu-only")
    assert fit(machine, 2048)["source"] == "closed-form"

    # The same load, asked of the engine itself.
    path = machine.models / "second.gguf"
    size_bytes = path.stat().st_size
    model = LocalModel("second", path, (path,), Source.FOLDER, ModelFormat.GGUF, size_bytes)
    engine = LlamaServerEngine()
    try:
        loaded = await engine.load(model, Plan(context_tokens=1024, gpu_layers=0))
        buffers, log = engine.buffers(loaded.instance), "\n".join(engine.log())
    finally:
        await engine.close()
    bill = after["bill"]
    assert bill["weights_host"] == total_bytes(buffers, "weights", on_host=True)
    assert bill["kv"] == total_bytes(buffers, "kv", on_host=True) == before["bill"]["kv"]
    assert bill["compute_host"] == total_bytes(buffers, "compute", "output", on_host=True)
    assert bill["total_host"] == total_bytes(buffers, on_host=True)
    said = re.search(r"CPU compute buffer size = +([\d.]+) MiB", log)
    assert said is not None
    assert bill["compute_host"] == pytest.approx(float(said[1]) * MIB, abs=0.02 * MIB)


def test_two_loads_correct_the_third(machine: Machine) -> None:
    before = fit(machine, 1536)
    for context in (512, 1024):
        chat(machine, context)
    after = fit(machine, 1536)
    assert after["source"] == "closed-form"
    # The packaged engine takes what the formula says, to a hundredth of it.
    more = after["bill"]["compute_host"] - before["bill"]["compute_host"]
    assert 0 <= more < 0.1 * before["bill"]["compute_host"]
    words = ("fit", str(machine.models / "second.gguf"), "--ngl", "0", "--ctx", "1536")
    assert "±1 MiB from 2 loads here" in run(machine, *words)


def test_the_deck_says_what_a_load_took(machine: Machine) -> None:
    with machine.deck() as deck:
        deck.wait_for(r"llama_server ●")
        put_cursor_on(deck, "second")
        deck.press("ENTER")
        deck.wait_for(r"second Q8_0 +llama_server on CPU +ctx 2k f16")
        deck.press("ESC")
        deck.press("1")
        deck.wait_for(r"measured: 0\.02 GiB RAM")
        deck.press("q")
        assert deck.wait_exit() == 0
