"""What loads took on this machine corrects the bills of the next ones, and the deck says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.buffers import Buffer, total_bytes
from modeldeck.engines.contract import OnProgress, ignore_progress
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.fit.token_cost import blocks_of
from modeldeck.engines.fit.types import Bill, Verdict
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.engines.types import Device, LoadedModel, LocalModel, Plan, Probe
from modeldeck.engines.units import MIB
from tests.support.decks import Deck, QuietServices, dense, open_deck
from tests.support.screens import ScreenCheck

CONTEXT_MIB = 310
"""What CUDA's context really takes on this card; the formula says 250."""


class Measured(ScriptedEngine):
    """An engine on a card that says what it took: what is predicted, and some MiB of compute.

    Attributes:
        newest: what the last load took.
    """

    def __init__(self, **more_mib: int) -> None:
        super().__init__()
        self._more_mib = more_mib
        self.newest: tuple[Buffer, ...] = ()

    async def probe(self) -> Probe:
        probe = await super().probe()
        return Probe(probe.available, probe.build, devices=(Device("CUDA0", "RTX", None, None),))

    async def load(
        self, model: LocalModel, plan: Plan, on_progress: OnProgress = ignore_progress
    ) -> LoadedModel:
        loaded = await super().load(model, plan, on_progress)
        assert model.header is not None
        shape = shape_of(model.header)
        assert isinstance(shape, Shape)
        found = bill(shape, plan, plan.context_tokens, blocks_of(shape, plan))
        more = self._more_mib[model.name.partition("-")[0].lower()] * MIB
        self.newest = (
            Buffer("CUDA0", "weights", found.weights_gpu_bytes),
            Buffer("CPU_Mapped", "weights", found.weights_host_bytes),
            Buffer("CUDA0", "kv", found.kv_gpu_bytes),
            Buffer("CUDA0", "compute", found.compute_gpu_bytes + more),
            Buffer("CUDA_Host", "compute", found.compute_host_bytes),
        )
        return loaded

    def buffers(self, instance: str) -> tuple[Buffer, ...]:
        return self.newest


class Telling(QuietServices):
    """A machine whose driver says what a process holds of the card."""

    def gpu_memory_of(self, pid: int | None) -> dict[int, int]:
        (engine,) = self.engines
        assert isinstance(engine, Measured)
        return {0: total_bytes(engine.newest, on_host=False) + CONTEXT_MIB * MIB}


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    for name, blocks, embedding in (("Small-3B", 28, 3072), ("Middle-8B", 32, 4096)):
        dense(models, name, blocks=blocks, embedding=embedding)
    dense(models, "Other-9B", blocks=36, embedding=4096)
    return fresh_home


async def load(deck: Deck, name: str) -> None:
    """Load a model by hand, and come back to the list when what it took is known."""
    before = deck.app.state.memory
    await deck.cursor_on(name)
    await deck.press("enter")
    await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
    await deck.until(lambda: deck.app.state.memory is not before, "what the load taught")
    await deck.press("escape", "1")
    await deck.cursor_on(name)


def verdict_on(deck: Deck, name: str) -> Verdict:
    key = next(model.id for model in deck.app.state.models if model.name == name)
    return deck.app.state.verdicts[key]


def predicted(deck: Deck, name: str) -> Bill:
    found = verdict_on(deck, name).bill
    assert found is not None
    return found


async def test_a_load_is_measured_and_two_correct_the_next(
    home: Path, same_screen: ScreenCheck
) -> None:
    engine = Measured(small=30, middle=50)
    async with open_deck(home, engine, services_class=Telling) as deck:
        await deck.rest()
        before = {name: predicted(deck, name) for name in ("Small-3B", "Middle-8B", "Other-9B")}
        await load(deck, "Small-3B")
        await deck.see("measured here, on RTX 3060 12GB")
        await deck.see("measured: 3.12 GiB GPU, 0.03 GiB RAM")
        took = predicted(deck, "Small-3B")
        assert verdict_on(deck, "Small-3B").source == "measured"
        assert took.compute_gpu_bytes == before["Small-3B"].compute_gpu_bytes + 30 * MIB
        assert took.context_overhead_bytes == CONTEXT_MIB * MIB
        assert took.total_gpu_bytes == total_bytes(engine.newest, on_host=False) + CONTEXT_MIB * MIB
        # One load says nothing of another model.
        assert predicted(deck, "Other-9B") == before["Other-9B"]

        await load(deck, "Middle-8B")
        await deck.cursor_on("Other-9B")
        await deck.see("closed form, ±10 MiB from 2 loads")
        other = predicted(deck, "Other-9B")
        assert other.learnt == "±10 MiB from 2 loads here"
        assert verdict_on(deck, "Other-9B").source == "closed-form"
        assert other.compute_gpu_bytes == before["Other-9B"].compute_gpu_bytes + 40 * MIB
        assert other.context_overhead_bytes == CONTEXT_MIB * MIB
        same_screen(deck.pilot)

        await deck.press("c")
        await deck.see("ctx 16k")
        await deck.until(lambda: verdict_on(deck, "Small-3B").source == "closed-form", "a formula")
        await deck.cursor_on("Small-3B")
        await deck.see("closed form, ±10 MiB from 2 loads")


async def test_the_options_are_priced_with_what_was_learnt(home: Path) -> None:
    async with open_deck(home, Measured(small=30, middle=50), services_class=Telling) as deck:
        await deck.rest()
        await load(deck, "Small-3B")
        await deck.press("o")
        await deck.see("measured here, on RTX 3060 12GB")
        await deck.press("right")
        await deck.see("closed form, on")
        await deck.press("escape")
        await load(deck, "Middle-8B")
        await deck.press("o", "right")
        await deck.see("closed form, ±10 MiB from 2 loads")


async def test_what_was_learnt_is_there_when_the_deck_is_opened_again(home: Path) -> None:
    async with open_deck(home, Measured(small=30), services_class=Telling) as deck:
        await deck.rest()
        await load(deck, "Small-3B")
    async with open_deck(home, Measured(), services_class=Telling) as deck:
        await deck.rest()
        assert verdict_on(deck, "Small-3B").source == "measured"
        assert verdict_on(deck, "Middle-8B").source == "closed-form"


async def test_nothing_is_learnt_of_an_engine_that_does_not_say(home: Path) -> None:
    async with open_deck(home, ScriptedEngine(), services_class=QuietServices) as deck:
        await deck.rest()
        await deck.cursor_on("Small-3B")
        await deck.press("enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        await deck.pilot.pause(0.3)
        assert deck.services.learned_memory.lesson() is None
