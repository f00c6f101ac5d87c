"""What a user does in the Hub place, with a Hub that follows a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.tui.hub_state import Asked, Source
from tests.support.decks import Deck, open_deck
from tests.support.screens import ScreenCheck
from tests.support.scripted_hub import FOUND, NOW, Script, owned, services_with

REPOSITORY = FOUND[0].name


async def open_hub(deck: Deck) -> None:
    await deck.rest()
    await deck.press("2")
    await deck.see("REPOSITORY")


async def test_what_is_in_fashion_is_listed_at_once(fresh_home: Path) -> None:
    script = Script()
    async with open_deck(
        fresh_home, ScriptedEngine(), services_class=services_with(script)
    ) as deck:
        await open_hub(deck)
        await deck.see("unsloth/Qwen3-14B-GGUF")
        assert "812k" in deck.text
        assert "6 repositories" in deck.text
        assert script.asked == [(Asked(), "")]


async def test_words_are_searched_when_typing_rests(fresh_home: Path) -> None:
    script = Script()
    async with open_deck(
        fresh_home, ScriptedEngine(), services_class=services_with(script)
    ) as deck:
        await open_hub(deck)
        await deck.press("slash")
        await deck.type("mistral")
        await deck.until(lambda: "Qwen3-14B" not in deck.text, "the answer")
        assert "1 repository" in deck.text
        assert len(script.asked) == 2, "one search for the word, not one for each letter"
        await deck.press("enter", "s")
        await deck.see("sort downloads")
        await deck.press("f")
        await deck.see("format gguf")
        assert script.asked[-1] == (Asked(text="mistral", kind="gguf", sort="downloads"), "")


async def test_more_is_asked_for_near_the_end(fresh_home: Path) -> None:
    pages = [
        tuple(owned(f"a/model-{page}-{n}", 10**9, 10**6, 1) for n in range(50)) for page in range(2)
    ]
    script = Script(pages=pages)
    async with open_deck(
        fresh_home, ScriptedEngine(), services_class=services_with(script)
    ) as deck:
        await open_hub(deck)
        await deck.see("50 repositories, more below")
        await deck.press("end")
        await deck.see("100 repositories")
        assert [page for _, page in script.asked] == ["", "1"]
        assert "▌a/model-0-49" in deck.text, "the cursor stays where it was"
        await deck.press("end")
        await deck.pilot.pause(0.1)
        assert len(script.asked) == 2


async def test_the_other_source_is_asked_for_the_same_words(fresh_home: Path) -> None:
    script = Script()
    async with open_deck(
        fresh_home, ScriptedEngine(), services_class=services_with(script)
    ) as deck:
        await open_hub(deck)
        await deck.see("unsloth")
        await deck.press("o")
        await deck.see("Ollama's library")
        assert script.asked[-1][0].source is Source.OLLAMA
        assert "sort trending" not in deck.text


async def test_a_search_that_fails_says_why_in_place(fresh_home: Path) -> None:
    script = Script(fails=ModelNotFound("The Hub wants 40 s of patience.", "Search again then."))
    async with open_deck(
        fresh_home, ScriptedEngine(), services_class=services_with(script)
    ) as deck:
        await open_hub(deck)
        await deck.see("✕ The Hub wants 40 s of patience. Search again then.")
        script.fails = None
        await deck.press("s")
        await deck.see("unsloth")
        assert "patience" not in deck.text


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_results_look_as_they_did(
    fresh_home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    script = Script()
    services = services_with(script)
    async with open_deck(fresh_home, ScriptedEngine(), size=size, services_class=services) as deck:
        await open_hub(deck)
        await deck.press("down", "down")
        await deck.pilot.pause(0.5)
        same_screen(deck.pilot)
        script.as_of = NOW - 3 * 86400
        await deck.press("s")
        await deck.see("3 days ago")
        same_screen(deck.pilot)
        await deck.press("slash")
        await deck.type("nothing of the kind")
        await deck.press("enter")
        await deck.see("Nothing is called that.")
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)
