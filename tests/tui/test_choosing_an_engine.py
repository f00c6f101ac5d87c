"""A user sees which engine a model gets, and chooses another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.scripted import ScriptedEngine
from tests.support.decks import dense, open_deck


def second() -> ScriptedEngine:
    return ScriptedEngine(name="second")


@pytest.fixture
def home(fresh_home: Path) -> Path:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Small-3B", blocks=28, embedding=3072)
    return fresh_home


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_chosen_engine_loads_the_model_and_is_remembered(
    home: Path, size: tuple[int, int]
) -> None:
    async with open_deck(home, ScriptedEngine(), second(), size=size) as deck:
        await deck.rest()
        await deck.press("end", "e")
        await deck.see("engine for Small-3B")
        assert "scripted: Scripted is the engine here that can run it." in deck.text
        await deck.type("sec")
        await deck.press("enter")
        await deck.see("You chose Scripted for this model.")
        assert "engine for" not in deck.text
        await deck.press("enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        assert deck.app.state.loaded is not None
        assert deck.app.state.loaded.engine == "second"

    async with open_deck(home, ScriptedEngine(), second(), size=size) as deck:
        await deck.rest()
        assert deck.app.state.engine_wishes == {"Small-3B": "second"}
        await deck.press("end", "e", "home", "up", "up", "enter")
        await deck.until(lambda: not deck.app.state.engine_wishes, "the policy again")


@pytest.mark.parametrize("size", [(120, 40), (100, 21)])
async def test_the_pane_says_why(home: Path, size: tuple[int, int]) -> None:
    async with open_deck(home, ScriptedEngine(), second(), size=size) as deck:
        await deck.rest()
        await deck.press("end")
        await deck.see("engine scripted  Scripted is the")


async def test_esc_keeps_the_engine(home: Path) -> None:
    async with open_deck(home, ScriptedEngine(), second()) as deck:
        await deck.rest()
        await deck.press("end", "e")
        await deck.see("engine for Small-3B")
        await deck.press("escape")
        await deck.until(lambda: "engine for" not in deck.text, "a closed picker")
        assert not deck.app.state.engine_wishes
        await deck.press("s")
        await deck.see("Small-3B")


async def test_a_loaded_model_moves_to_the_engine_chosen_for_it(home: Path) -> None:
    async with open_deck(home, ScriptedEngine(), second()) as deck:
        await deck.rest()
        await deck.press("end", "enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        await deck.press("escape", "1", "e")
        await deck.see("engine for Small-3B")
        await deck.press("down", "down", "enter")
        await deck.until(lambda: bool(deck.app.state.engine_wishes), "the choice")
        await deck.press("enter")
        await deck.until(
            lambda: (held := deck.app.state.loaded) is not None and held.engine == "second",
            "the other engine",
        )
