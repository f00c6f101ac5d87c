"""How a user had a model loaded is how it is loaded the next time, in the same engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.engines.types import Device, LoadedModel, Probe
from tests.support.decks import Deck, dense, open_deck


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
