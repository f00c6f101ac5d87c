"""What a user does in the Hub place, with a Hub that follows a script."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.fit.quants import QUANTS
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.tui.hub_state import Asked, Source
from tests.support.bytes_sent import bytes_sent
from tests.support.decks import Deck, open_deck
from tests.support.screens import ScreenCheck
from tests.support.scripted_hub import FOUND, NOW, Script, owned, services_with, unread, variants_of

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
        await deck.see("format safetensors")
        assert script.asked[-1] == (Asked(text="mistral", kind="safetensors", sort="downloads"), "")


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


@pytest.fixture
def looked_into(fresh_home: Path) -> Script:
    """A repository of a 14B model in the usual quantisations."""
    found = variants_of(fresh_home, REPOSITORY, blocks=40, embedding=5120)
    return Script(variants={REPOSITORY: unread(found)}, read={one.target: one for one in found})


async def look_into(deck: Deck) -> None:
    await open_hub(deck)
    await deck.see(REPOSITORY)
    await deck.press("enter")
    await deck.see("VARIANT")


def rows(deck: Deck) -> dict[str, str]:
    """The lines of the list by the quantisation they are about."""
    lines = (line.lstrip("▌ ✓").partition(" ") for line in deck.text.splitlines())
    return {first: rest for first, _, rest in lines if first in dict(QUANTS)}


async def test_a_repository_opens_to_judged_variants(fresh_home: Path, looked_into: Script) -> None:
    services = services_with(looked_into)
    async with open_deck(fresh_home, ScriptedEngine(), services_class=services) as deck:
        await look_into(deck)
        await deck.see("best here")
        seen = rows(deck)
        assert set(seen) == set(dict(QUANTS))
        assert "● fits" in seen["Q4_K_M"]
        assert "layers" in seen["Q8_0"]
        best = next(name for name, line in seen.items() if "best here" in line)
        fitting = [name for name, line in seen.items() if "● fits" in line]
        assert best == fitting[-1], "the most bits that fit whole"
        assert f"✓  {best}" in deck.text
        assert f"▌✓  {best}" in deck.text, "the cursor is on it"
        await deck.press("escape")
        await deck.see("REPOSITORY")
        assert "VARIANT" not in deck.text


async def test_another_context_makes_another_one_best(
    fresh_home: Path, looked_into: Script
) -> None:
    services = services_with(looked_into)
    async with open_deck(fresh_home, ScriptedEngine(), services_class=services) as deck:
        await look_into(deck)
        await deck.see("best here")
        before = deck.app.hub.state.opened
        assert before is not None
        await deck.press("1", "c", "c", "2")
        await deck.see("ctx 32k")
        await deck.until(
            lambda: (
                deck.app.hub.state.opened is not None
                and deck.app.hub.state.opened.best != before.best
            ),
            "another best",
        )


async def test_several_are_marked_and_pulled_together(
    fresh_home: Path, looked_into: Script
) -> None:
    services = services_with(looked_into)
    async with open_deck(fresh_home, ScriptedEngine(), services_class=services) as deck:
        await look_into(deck)
        await deck.see("1 marked")
        await deck.press("home", "space", "down", "space")
        await deck.see("3 marked")
        await deck.press("space")
        await deck.see("2 marked")


async def test_what_is_read_is_given_up_when_one_moves_on(
    fresh_home: Path, looked_into: Script
) -> None:
    looked_into.holds = Event()
    services = services_with(looked_into)
    async with open_deck(fresh_home, ScriptedEngine(), services_class=services) as deck:
        await look_into(deck)
        await deck.see("read 0 of 12 headers")
        await deck.press("escape")
        await deck.until(lambda: looked_into.stopped == 1, "the reading stopped")


async def test_a_gated_repository_says_what_to_accept(fresh_home: Path) -> None:
    cause = "The owner of the repository gives it only to those who ask."
    step = "Accept the terms at https://huggingface.co/google/gemma, then log in."
    script = Script(refused=ModelNotFound(cause, step))
    async with open_deck(
        fresh_home, ScriptedEngine(), services_class=services_with(script)
    ) as deck:
        await look_into(deck)
        await deck.see(f"✕ {cause}")
        assert "https://huggingface.co/google/gemma" in deck.text
        await deck.press("escape")
        await deck.see("REPOSITORY")


HOSTILE_CARD = """---
license: apache-2.0
---
# A [b]card[/b]\x1b]0;pwned\x07

Some **bold** words, [a link](https://example.org) and `code`.

| a | b |
|---|---|
| 1 | 2 |
"""


async def test_the_model_card_is_data(fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(cards={REPOSITORY: HOSTILE_CARD})
    with bytes_sent(monkeypatch) as sent:
        async with open_deck(
            fresh_home, ScriptedEngine(), services_class=services_with(script)
        ) as deck:
            await open_hub(deck)
            await deck.see(REPOSITORY)
            await deck.press("m")
            await deck.see("A [b]card[/b]")
            assert "license" not in deck.text
            await deck.press("escape", "down", "m")
            await deck.see("The repository has no model card.")
        assert "\x1b]0;" not in sent.text


async def test_the_command_of_a_variant_is_copied(
    fresh_home: Path, looked_into: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = services_with(looked_into)
    async with open_deck(fresh_home, ScriptedEngine(), services_class=services) as deck:
        copied: list[str] = []
        monkeypatch.setattr(deck.app, "copy_to_clipboard", copied.append)
        await look_into(deck)
        await deck.see("best here")
        await deck.press("home", "y")
        await deck.until(lambda: bool(copied), "a copy")
        assert copied == [f"modeldeck pull hf:{REPOSITORY}:IQ2_XXS"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_a_repository_looks_as_it_did(
    fresh_home: Path, looked_into: Script, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    looked_into.cards = {REPOSITORY: HOSTILE_CARD}
    services = services_with(looked_into)
    async with open_deck(fresh_home, ScriptedEngine(), size=size, services_class=services) as deck:
        await look_into(deck)
        await deck.see("best here")
        await deck.pilot.pause(0.5)
        same_screen(deck.pilot)
        await deck.press("up", "space")
        await deck.pilot.pause(0.5)
        same_screen(deck.pilot)
        await deck.press("m")
        await deck.see("bold")
        same_screen(deck.pilot)
        await deck.press("escape", "g")
        await deck.see("llama.cpp")
        same_screen(deck.pilot)
        looked_into.refused = ModelNotFound(
            "The owner of the repository gives it only to those who ask.",
            "Accept the terms at https://huggingface.co/google/gemma-3-27b, then log in.",
        )
        await deck.press("escape", "escape", "enter")
        await deck.see("only to those")
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)
