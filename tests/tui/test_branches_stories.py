"""What a user does with the branches of a conversation: asks again, edits, walks between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.scripted import Script, ScriptedEngine
from tests.support.decks import Deck, dense, open_deck
from tests.support.screens import ScreenCheck


@pytest.fixture
def home(fresh_home: Path) -> Path:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Small-3B", blocks=28, embedding=3072)
    return fresh_home


async def chat(deck: Deck) -> None:
    await deck.rest()
    await deck.press("end", "enter")
    await deck.see("Small-3B Q4_K_M")


async def exchange(deck: Deck, engine: ScriptedEngine, question: str, answer: str) -> None:
    """Have a question answered with these words."""
    engine.script = Script(answer=tuple(f"{word} " for word in answer.split()))
    await deck.type(question)
    await deck.press("enter")
    await answered(deck, answer)


async def answered(deck: Deck, answer: str) -> None:
    await deck.until(
        lambda: not deck.app.talk.busy and deck.app.talk.branch.last_answer.strip() == answer,
        answer,
    )
    await deck.see(answer)


async def test_editing_the_question_keeps_the_old_branch_one_key_away(home: Path) -> None:
    engine = ScriptedEngine()
    async with open_deck(home, engine) as deck:
        await chat(deck)
        await exchange(deck, engine, "Why", "Because it is so")
        await deck.press("escape", "e")
        await deck.see("editing the last question")
        await deck.see("edit › Why")
        engine.script = Script(answer=("Why ", "not"))
        await deck.type(" not")
        await deck.press("enter")
        await answered(deck, "Why not")
        await deck.see("you  2/2")
        assert "Because" not in deck.text
        assert "editing" not in deck.text
        await deck.press("escape", "b")
        await deck.see("you  1/2")
        await deck.see("Because it is so")
        await deck.press("b")
        await deck.see("you  2/2")


async def test_esc_gives_the_edit_up_and_what_was_typed_comes_back(home: Path) -> None:
    engine = ScriptedEngine()
    async with open_deck(home, engine) as deck:
        await chat(deck)
        await exchange(deck, engine, "Why", "Because")
        await deck.type("half a thought")
        await deck.press("escape", "e")
        await deck.see("edit › Why")
        await deck.press("escape")
        await deck.see(" › half a thought")
        assert "editing" not in deck.text
        assert len(deck.app.talk.messages) == 2


async def test_answers_asked_again_are_counted(home: Path) -> None:
    engine = ScriptedEngine()
    async with open_deck(home, engine) as deck:
        await chat(deck)
        await exchange(deck, engine, "Why", "Because")
        for number, words in enumerate(("Second", "Third"), start=2):
            engine.script = Script(answer=(words,))
            await deck.press("ctrl+r")
            await answered(deck, words)
            await deck.see(f"Small-3B  {number}/{number}")
        await deck.press("escape", "b")
        await deck.see("Small-3B  2/3")
        assert "Second" in deck.text
        await deck.press("b")
        await deck.see("Small-3B  1/3")
        assert "Because" in deck.text


async def test_b_comes_to_every_branch_of_forks_in_forks(home: Path) -> None:
    engine = ScriptedEngine()
    async with open_deck(home, engine) as deck:
        await chat(deck)
        await exchange(deck, engine, "Why", "Because")
        engine.script = Script(answer=("Anew",))
        await deck.press("ctrl+r")
        await answered(deck, "Anew")
        engine.script = Script(answer=("Edited",))
        await deck.press("escape", "e")
        await deck.see("edit › Why")
        await deck.type(" not")
        await deck.press("enter")
        await answered(deck, "Edited")
        await deck.press("escape")
        for words in ("Anew", "Because", "Edited", "Anew"):
            await deck.press("b")
            await deck.see(words)


async def test_there_is_no_branch_to_go_to_before_there_is_one(home: Path) -> None:
    engine = ScriptedEngine()
    async with open_deck(home, engine) as deck:
        await chat(deck)
        await exchange(deck, engine, "Why", "Because")
        await deck.press("escape", "b", "question_mark")
        await deck.see("edit the last question")
        assert "show the other branch" not in deck.text


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_edit_and_fork_look_as_they_did(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    engine = ScriptedEngine()
    async with open_deck(home, engine, size=size) as deck:
        await chat(deck)
        await exchange(deck, engine, "Why", "Because it is so")
        await deck.press("ctrl+r")
        await deck.see("2/2")
        await deck.until(lambda: not deck.app.talk.busy)
        await deck.press("escape", "e")
        await deck.press("ctrl+n", "escape")
        await deck.until(lambda: not deck.app.talk.messages)
        assert deck.app.talk.conversation is None
        (conversation,) = deck.services.conversations.recent()
        deck.app.talk.open(conversation.id)
        await deck.see("2/2")
        await deck.press("e")
        await deck.see("edit › Why")
        held = deck.app.talk
        await deck.until(
            lambda: held.context_use is not None and held.context_use.exact, "the count"
        )
        same_screen(deck.pilot)
