"""What the next prompt will take of the context, said before it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.errors import EngineDied
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.tui.context_use import ContextUse, estimate
from modeldeck.tui.next_prompt import NextPrompt
from modeldeck.tui.settings import Settings
from modeldeck.tui.widgets.prompt import Prompt
from tests.support.decks import Deck, dense, open_deck
from tests.support.screens import ScreenCheck


@pytest.mark.parametrize(
    ("use", "meter", "fits"),
    [
        (ContextUse(812, True), "next 812 of 8k", True),
        (ContextUse(812, False), "next ~812 of 8k", True),
        (ContextUse(8191, True), "next 8,191 of 8k", True),
        (ContextUse(8192, True), "next 8,192 of 8k", False),
        (ContextUse(123456, False), "next ~123,456 of 8k", False),
        (ContextUse(812, True, images=1), "next 812 + image of 8k", True),
        (ContextUse(812, False, images=3), "next ~812 + 3 images of 8k", True),
    ],
)
def test_the_meter_in_words(use: ContextUse, meter: str, fits: bool) -> None:
    found = NextPrompt("x", use, 8192)
    assert found.meter.plain == meter
    assert found.fits == fits
    advice = found.advice("ctrl+n", "c").plain
    assert bool(advice) != fits
    assert len(advice) <= 80


@given(st.lists(st.text(max_size=200), max_size=5))
def test_more_words_are_never_fewer_tokens(texts: list[str]) -> None:
    messages = [ChatMessage("user", text) for text in texts]
    assert estimate(messages) <= estimate([*messages, ChatMessage("user", "字")])
    assert estimate(messages) >= 4 * len(messages)


def test_the_rule_of_thumb() -> None:
    assert estimate([ChatMessage("user", "x" * 400)]) == 104
    assert estimate([ChatMessage("user", "字" * 100)]) == 104


class Mute(ScriptedEngine):
    """An engine whose counting fails."""

    async def count_tokens(self, instance: str, messages: Sequence[ChatMessage]) -> int:
        raise EngineDied("It cannot count.", "Ask another one.")


@pytest.fixture
def home(fresh_home: Path) -> Path:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Small-3B", blocks=28, embedding=3072)
    return fresh_home


async def chat(deck: Deck) -> None:
    await deck.rest()
    await deck.press("end", "enter")
    await deck.see("Small-3B Q4_K_M")


async def test_typing_shows_what_the_engine_counts(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await chat(deck)
        assert "next " not in deck.text
        await deck.type("Hello")
        await deck.see("next 6 of 8k")
        await deck.press("enter")
        await deck.see("Hello, deck.")
        await deck.until(lambda: "next " not in deck.text, "an empty prompt, no number")
        await deck.type("Hi")
        await deck.see("next 22 of 8k")


async def test_an_engine_that_cannot_count_leaves_an_estimate(home: Path) -> None:
    async with open_deck(home, Mute()) as deck:
        await chat(deck)
        await deck.type("Hello")
        await deck.see("next ~6 of 8k")


async def test_what_does_not_fit_is_held_back_until_the_user_insists(home: Path) -> None:
    settings = Settings(model_dirs=(home / "models",), context_tokens=2048)
    async with open_deck(home, ScriptedEngine(), settings=settings) as deck:
        await chat(deck)
        book = "word " * 500
        prompt = deck.app.screen.query_one(Prompt)
        prompt.put(book)
        await deck.see("2,500 tokens of 2,048")
        await deck.see("ctrl+n new chat")
        await deck.press("enter")
        await deck.see("enter once more sends it all the same")
        assert prompt.text.strip() == book.strip()
        assert not deck.app.talk.messages
        await deck.press("enter")
        await deck.until(lambda: len(deck.app.talk.messages) == 2, "the engine's refusal")
        assert deck.app.talk.messages[-1].state == "failed"


async def test_a_context_that_fills_up_says_so(home: Path) -> None:
    settings = Settings(model_dirs=(home / "models",), context_tokens=2048)
    engine = ScriptedEngine(Script(answer=("w ",) * 3000, decode_token_ns=0))
    async with open_deck(home, engine, settings=settings) as deck:
        await chat(deck)
        await deck.type("Go on")
        await deck.press("enter")
        await deck.see("stopped: the context is full")
        await deck.see("The context is full. ctrl+n begins a new chat")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_meter_and_its_warning_look_as_they_did(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    settings = Settings(model_dirs=(home / "models",), context_tokens=2048)
    async with open_deck(home, ScriptedEngine(), size=size, settings=settings) as deck:
        await chat(deck)
        await deck.type("Hello")
        await deck.see("next 6 of 2k")
        same_screen(deck.pilot)
        deck.app.screen.query_one(Prompt).put("word " * 500)
        await deck.see("tokens of 2,048")
        same_screen(deck.pilot)
