"""A user cuts the list down to what fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.scripted import Script, ScriptedEngine
from tests.support.decks import dense, open_deck
from tests.support.screens import ScreenCheck


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Small-3B", blocks=28, embedding=3072)
    dense(models, "Tight-18B", blocks=48, embedding=5120, kv_heads=40)
    dense(models, "Large-70B", blocks=80, embedding=8192)
    dense(models, "Giant-800B", blocks=120, embedding=24576)
    return fresh_home


def listed(text: str) -> set[str]:
    names = ("Small-3B", "Tight-18B", "Large-70B", "Giant-800B")
    rows = [line[:30] for line in text.splitlines()]
    return {name for name in names if any(name in row for row in rows)}


async def test_f_walks_from_what_fits_to_everything(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        assert len(listed(deck.text)) == 4
        await deck.press("f")
        await deck.see("only fits at this ctx")
        assert listed(deck.text) == {"Small-3B"}
        await deck.press("f")
        await deck.see("only fits at some ctx")
        assert listed(deck.text) == {"Small-3B", "Tight-18B"}
        await deck.press("f")
        await deck.see("only runnable here")
        assert listed(deck.text) == {"Small-3B", "Tight-18B", "Large-70B"}
        await deck.press("f")
        assert len(listed(deck.text)) == 4


async def test_esc_shows_everything_again(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("f", "escape")
        assert len(listed(deck.text)) == 4


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_what_is_kept_stands_before_an_assumed_card(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    async with open_deck(home, ScriptedEngine(), size=size) as deck:
        await deck.rest()
        await deck.press("v")
        await deck.type("6000 ada")
        await deck.press("enter")
        await deck.see("RTX 6000 Ada")
        await deck.rest()
        for kept in ("only fits at this ctx", "only fits at some ctx", "only runnable here"):
            await deck.press("f")
            await deck.see(f"{kept}   what if RTX")
        await deck.press("home")
        await deck.pilot.pause(0.5)
        same_screen(deck.pilot)


async def test_without_an_engine_nothing_is_runnable(home: Path) -> None:
    engine = ScriptedEngine(Script(missing="It is not here."))
    async with open_deck(home, engine) as deck:
        await deck.rest()
        await deck.press("f", "f", "f")
        await deck.see("None of the models runs here.")
        await deck.see("esc shows all.")
