"""A load runs out of memory; the deck says of what, and one key loads the model so that it fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.contract import OnProgress, ignore_progress
from modeldeck.engines.errors import LoadFailed
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.engines.types import Device, LoadedModel, LocalModel, Plan, Probe
from tests.support.decks import Deck, dense, open_deck
from tests.support.screens import ScreenCheck

TAIL = (
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 1280.00 MiB on device 0: "
    "cudaMalloc failed: out of memory",
    "alloc_tensor_range: failed to allocate CUDA0 buffer of size 1342177280",
    "llama_init_from_model: failed to initialize the context: "
    "failed to allocate buffer for kv cache",
)


class Tight(ScriptedEngine):
    """An engine on a card where a cache of more than 4k does not fit after all."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: list[Plan] = []

    async def probe(self) -> Probe:
        probe = await super().probe()
        return Probe(probe.available, probe.build, devices=(Device("CUDA0", "RTX", None, None),))

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        self.tried.append(plan)
        if plan.context_tokens > 4096 and plan.kv_type == "f16":
            raise LoadFailed(f"Scripted could not load {model.name}.", "Read the log.", TAIL)
        return await super().load(model, plan, on_progress)


@pytest.fixture
def home(fresh_home: Path) -> Path:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Middle-14B", blocks=40, embedding=5120)
    return fresh_home


LONG = "A-long-name-that-somebody-gave-to-a-model-14B-Instruct-v3"
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


async def fail_to_load(deck: Deck, name: str) -> None:
    await deck.rest()
    await deck.cursor_on(name)
    await deck.press("enter")
    await deck.until(lambda: deck.app.state.retry is not None, "the failure")
    await deck.pilot.pause(0.2)


@SIZES
async def test_one_key_loads_it_so_that_it_fits(home: Path, size: tuple[int, int]) -> None:
    engine = Tight()
    async with open_deck(home, engine, size=size) as deck:
        await fail_to_load(deck, "Middle-14B")
        assert "memory ran out for the KV cache of 1.2 GiB" in deck.text
        await deck.see(
            "   esc r loads it with KV cache q8_0; context 4k or context 2k would fit too."
        )
        assert "esc l log" in deck.text
        await deck.press("escape")
        await deck.see("   r loads it with KV cache q8_0")
        await deck.press("r")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        assert [plan.kv_type for plan in engine.tried] == ["f16", "q8_0"]
        assert deck.app.state.retry is None


async def test_from_the_list_the_way_leads_through_the_chat(home: Path) -> None:
    engine = Tight()
    async with open_deck(home, engine, size=(80, 24)) as deck:
        await fail_to_load(deck, "Middle-14B")
        await deck.press("escape", "1")
        await deck.see("   4 r loads it with KV cache q8_0")
        await deck.press("4", "r")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        assert [plan.kv_type for plan in engine.tried] == ["f16", "q8_0"]


@SIZES
async def test_the_offer_looks_as_it_did_however_long_the_name(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    dense(home / "models", LONG, blocks=40, embedding=5120)
    async with open_deck(home, Tight(), size=size) as deck:
        await fail_to_load(deck, LONG)
        same_screen(deck.pilot)
        await deck.press("escape", "1")
        await deck.pilot.pause(0.5)
        same_screen(deck.pilot)


async def test_what_failed_for_another_reason_is_not_retried(home: Path) -> None:
    class Broken(Tight):
        async def load(
            self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
        ) -> LoadedModel:
            raise LoadFailed("It is no model.", "Get another.", ("unknown architecture",))

    async with open_deck(home, Broken()) as deck:
        await deck.rest()
        await deck.cursor_on("Middle-14B")
        await deck.press("enter")
        await deck.see("It is no model.")
        assert deck.app.state.retry is None
        await deck.press("escape", "r")
        assert deck.app.state.loading is None
