"""How a model is loaded is kept for the next time, and how long it stays when nobody asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.engines.types import Device, LoadedModel, Probe
from modeldeck.tui import jobs
from modeldeck.tui.jobs import Jobs
from modeldeck.tui.settings import Settings
from tests.support.decks import Deck, dense, open_deck

MINUTE_NS = 60_000_000_000


class OnTheCard(ScriptedEngine):
    """A scripted engine that says it has a card."""

    async def probe(self) -> Probe:
        probe = await super().probe()
        return Probe(probe.available, probe.build, devices=(Device("CUDA0", "RTX", None, None),))


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Middle-14B", blocks=40, embedding=5120)
    return fresh_home


async def loaded_with(deck: Deck, *keys: str) -> LoadedModel:
    """Press the keys that load the model under the cursor, see how, and unload it again."""
    await deck.cursor_on("Middle-14B")
    await deck.press(*keys)
    await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
    loaded = deck.app.state.loaded
    assert loaded is not None
    await deck.press("escape", "u")
    await deck.until(lambda: deck.app.state.loaded is None, "it to be unloaded")
    await deck.press("1")
    return loaded


SMALLER_CACHE = ("o", "down", "right", "enter")
PLANNED_ANEW = ("o", "r", "enter")


async def test_it_is_loaded_as_it_was_the_last_time(home: Path) -> None:
    async with open_deck(home, OnTheCard()) as deck:
        await deck.rest()
        first = await loaded_with(deck, *SMALLER_CACHE)
        assert first.plan.kv_type == "bf16"
        await deck.see("loaded with kv bf16  kept")
        assert (await loaded_with(deck, "enter")).plan.kv_type == "bf16"
    async with open_deck(home, OnTheCard()) as deck:
        await deck.rest()
        await deck.see("loaded with kv bf16  kept")
        assert (await loaded_with(deck, "enter")).plan.kv_type == "bf16"


async def test_what_was_not_set_follows_the_list(home: Path) -> None:
    async with open_deck(home, OnTheCard()) as deck:
        await deck.rest()
        await loaded_with(deck, *SMALLER_CACHE)
        await deck.press("c")
        again = await loaded_with(deck, "enter")
        assert (again.plan.context_tokens, again.plan.kv_type) == (16384, "bf16")


async def test_it_is_planned_anew_when_the_user_wants_that(home: Path) -> None:
    async with open_deck(home, OnTheCard()) as deck:
        await deck.rest()
        await loaded_with(deck, *SMALLER_CACHE)
        await deck.see("loaded with kv bf16  kept")
        assert (await loaded_with(deck, *PLANNED_ANEW)).plan.kv_type == "f16"
        assert "loaded with" not in deck.text
        assert deck.app.state.profiles == {}
        assert (await loaded_with(deck, "enter")).plan.kv_type == "f16"


async def test_another_engine_has_its_own(home: Path) -> None:
    async with open_deck(home, OnTheCard(), OnTheCard(name="second")) as deck:
        await deck.rest()
        first = await loaded_with(deck, *SMALLER_CACHE)
        await deck.cursor_on("Middle-14B")
        other = "second" if first.engine == "scripted" else "scripted"
        model = first.model
        wishes = deck.app.services.wishes
        deck.app.change(deck.app.state._replace(engine_wishes=wishes.choose_engine(model, other)))
        again = await loaded_with(deck, "enter")
        assert (again.engine, again.plan.kv_type) == (other, "f16")


async def test_the_options_begin_with_what_is_kept(home: Path) -> None:
    async with open_deck(home, OnTheCard()) as deck:
        await deck.rest()
        await loaded_with(deck, *SMALLER_CACHE)
        await deck.press("o")
        await deck.see("layers on GPU")
        line = next(line for line in deck.text.splitlines() if "kv cache" in line)
        assert "bf16" in line


async def test_a_model_that_nobody_asks_gives_its_memory_back(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "IDLE_SAMPLE_S", 0.02)
    later_ns = [0]
    now_ns = Jobs.now_ns

    def now_or_later_ns(jobs: Jobs) -> int:
        return now_ns(jobs) + later_ns[0]

    monkeypatch.setattr(Jobs, "now_ns", now_or_later_ns)
    settings = Settings(model_dirs=(home / "models",), unload_after_minutes=30)
    engine = OnTheCard()
    async with open_deck(home, engine, settings=settings) as deck:
        await deck.rest()
        await deck.cursor_on("Middle-14B")
        await deck.press("enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        await deck.pilot.pause(0.2)
        later_ns[0] += 29 * MINUTE_NS
        await deck.pilot.pause(0.2)
        assert deck.app.state.loaded is not None
        later_ns[0] += 2 * MINUTE_NS
        await deck.see("Middle-14B had nothing to do and is unloaded; its memory is free.")
        assert not await engine.models()
        await deck.press(*"hi", "enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "it to be loaded again")
