"""A user with several cards sees what they hold together, and chooses how they share a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.fit.types import Verdict, VerdictKind
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.tui.settings import Settings
from tests.support.decks import Deck, dense, open_deck
from tests.support.screens import ScreenCheck

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Large-32B", blocks=64, embedding=5120)
    return fresh_home


def verdict_in(deck: Deck) -> Verdict:
    verdicts = deck.app.state.verdicts
    return next(verdicts[name] for name in verdicts if "Large-32B" in name)


async def test_another_card_beside_the_first_changes_the_verdict(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        assert verdict_in(deck).kind is VerdictKind.FITS_PARTIAL
        await deck.press("v")
        await deck.see("verdicts for")
        await deck.type("2x rtx 3060 12gb")
        await deck.press("enter")
        await deck.see("RTX 3060 12GB  33 layers  7.3/11.6 GiB")
        verdict = verdict_in(deck)
        assert verdict.kind is VerdictKind.FITS
        assert "RTX 3060 12GB  31 layers  6.9/11.6 GiB" in deck.text
        assert verdict.reason.endswith("over 2 cards: 33 and 31 layers")


@SIZES
async def test_how_cards_share_a_model_is_an_option(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    settings = Settings(model_dirs=(home / "models",), gpu="RTX 3060 12GB + RTX 3090")
    async with open_deck(home, ScriptedEngine(), size=size, settings=settings) as deck:
        await deck.rest()
        await deck.press("o")
        await deck.see("one card")
        await deck.press(*["down"] * 6, "right")
        await deck.see("22 and 42 layers")
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)
        await deck.press("right")
        await deck.see("a part of every")
