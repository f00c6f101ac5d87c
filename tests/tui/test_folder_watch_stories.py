"""A model that is copied in or removed while the deck is open is noticed without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.catalog.watch import MAX_WATCHED
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.tui.state import same_where_equal
from modeldeck.tui.widgets.row_list import RowList
from tests.support.decks import Deck, dense, open_deck
from tests.support.safetensors_files import write_folder


@pytest.fixture
def home(fresh_home: Path) -> Path:
    (fresh_home / "models").mkdir()
    for name in ("Alpha-3B", "Gamma-3B"):
        dense(fresh_home / "models", name, blocks=28, embedding=3072)
    return fresh_home


def cursor(deck: Deck) -> str:
    return Path(deck.app.screen.query_one(RowList).cursor_key or "").stem


async def test_a_model_copied_in_appears_and_goes_and_the_cursor_stays(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("home", "down")
        assert cursor(deck) == "Gamma-3B"

        path = dense(home / "models", "Beta-3B", blocks=28, embedding=3072)
        await deck.see("Beta-3B")
        assert "Alpha-3B" in deck.text
        assert cursor(deck) == "Gamma-3B"

        folder = write_folder(home / "models" / "org" / "Delta")
        await deck.see("Delta")

        path.unlink()
        for file in folder.iterdir():
            file.unlink()
        await deck.until(
            lambda: "Beta-3B" not in deck.text and "Delta" not in deck.text, "rows that go"
        )
        assert cursor(deck) == "Gamma-3B"


async def test_more_folders_than_can_be_watched_are_told_of(home: Path) -> None:
    for number in range(MAX_WATCHED):
        (home / "models" / str(number)).mkdir()
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.see("New models are looked for every 30 s")
        await deck.press("r")
        await deck.rest()
        await deck.see("New models are looked for every 30 s")


async def test_what_did_not_change_stays_the_same_object(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        models, verdicts = deck.app.state.models, deck.app.state.verdicts
        deck.app.jobs.scan(whole=True)
        dense(home / "models", "Beta-3B", blocks=28, embedding=3072)
        await deck.see("Beta-3B")
        await deck.rest()
        after = {model.id: model for model in deck.app.state.models}
        assert all(after[model.id] is model for model in models)
        assert all(deck.app.state.verdicts[key] is verdict for key, verdict in verdicts.items())
        assert same_where_equal(models, list(models)) is models
