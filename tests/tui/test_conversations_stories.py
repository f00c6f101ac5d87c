"""What a user does with the conversations of the past."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.chat import Sampling
from modeldeck.engines.paths import data_dir
from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.engines.store.conversations import Conversation, Conversations, Outcome
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.tui.settings import Settings
from tests.support.decks import Deck, dense, open_deck
from tests.support.screens import ScreenCheck

WHY_30B = "為什麼 4-bit 的 30B 放不進 12 GB?"
WIDE = "It is wide. " * 40


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def home(fresh_home: Path) -> Path:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Small-3B", blocks=28, embedding=3072)
    return fresh_home


def talk(
    kept: Conversations, question: str, answer: str, model: str = "Small-3B", prompt: str = ""
) -> Conversation:
    chat = kept.create(prompt, Sampling(temperature=0.5) if prompt else None)
    asked = kept.say(chat.id, None, question)
    answered = kept.begin_answer(chat.id, asked.id, model, "scripted")
    kept.append(answered.id, answer, "")
    kept.finish(answered.id, Outcome("done"))
    return chat


@pytest.fixture
def past(home: Path) -> list[int]:
    """Four conversations of the past, the oldest first."""
    database = Database.open(home / "deck.db", SCHEMAS)
    kept = Conversations(database)
    chats = [
        talk(kept, "Why is the sky blue?", "Rayleigh scattering, [bold]not[/bold] the sea."),
        talk(kept, WHY_30B, "一個 30B 的模型，以 4-bit 量化後大約是 18 GB。"),
        talk(kept, "How do I boil an egg?", "Seven minutes.\nIn water.", prompt="Be brief."),
        talk(kept, "Tell me of the sea", WIDE + "Its blue is the sky's.", "Qwen3-14B"),
    ]
    with database.transaction() as connection:
        connection.execute("UPDATE conversations SET updated = 1763900000 + id * 86400")
    database.close()
    return [chat.id for chat in chats]


async def list_conversations(deck: Deck) -> None:
    await deck.rest()
    await deck.press("4", "ctrl+f")
    await deck.see("the newest first")


def titles(deck: Deck) -> list[str]:
    """The titles in the list, as far as they are shown."""
    names = ("Why is", "為什麼", "How do", "Tell me", "Eggs")
    lines = deck.text.splitlines()[3:-2]
    return [name for line in lines for name in names if line[1:].startswith(name)]


async def test_an_old_conversation_is_opened_and_gone_on_with(home: Path, past: list[int]) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await list_conversations(deck)
        assert titles(deck) == ["Tell me", "How do", "為什麼", "Why is"]
        await deck.press("down", "enter")
        await deck.see("Seven minutes.")

        held = deck.app.talk
        assert held.conversation is not None
        assert held.conversation.id == past[2]
        assert (held.settings.system_prompt, held.settings.sampling.temperature) == (
            "Be brief.",
            0.5,
        )
        await deck.press("escape", "1", "home", "enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        await deck.press("i")
        await deck.type("And two")
        await deck.press("enter")
        await deck.see("Hello, deck.")
        assert [m.text for m in held.messages][-2:] == ["And two", "Hello, deck."]
        await deck.press("ctrl+f")
        await deck.until(lambda: titles(deck)[:1] == ["How do"], "the newest")


async def test_a_word_in_a_message_finds_it(home: Path, past: list[int]) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await list_conversations(deck)
        await deck.type("blue")
        await deck.until(lambda: titles(deck) == ["Tell me", "Why is"], "both that say it")
        assert "Its blue is the sky's." in deck.text
        for _ in "blue":
            await deck.press("backspace")
        await deck.type("量化")
        await deck.until(lambda: titles(deck) == ["為什麼"], "the one that says it")
        await deck.press("escape")
        await deck.until(lambda: len(titles(deck)) == 4, "all")
        await deck.type("zzz")
        await deck.see("Nobody said that")
        assert "ctrl+d delete" not in deck.text
        await deck.press("escape", "escape")
        await deck.see("no model loaded")


async def test_a_conversation_is_renamed_where_it_stands(home: Path, past: list[int]) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await list_conversations(deck)
        await deck.press("down", "ctrl+r")
        await deck.press("ctrl+u")
        await deck.type("Eggs")
        await deck.press("enter")
        await deck.until(lambda: titles(deck)[1] == "Eggs", "the new name")
        await deck.press("ctrl+r")
        await deck.type(" and more")
        await deck.press("escape")
        assert "Eggs and more" not in deck.text
        await deck.type("egg")
        await deck.until(lambda: titles(deck) == ["Eggs"], "found by its name")


async def test_the_second_press_deletes(home: Path, past: list[int]) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await list_conversations(deck)
        await deck.press("ctrl+d")
        await deck.see("delete it?")
        await deck.press("escape")
        await deck.press("ctrl+d", "down")
        assert "delete it?" not in deck.text
        await deck.press("ctrl+d", "T")
        assert "delete it?" not in deck.text
        await deck.press("backspace")
        await deck.until(lambda: len(titles(deck)) == 4, "all")
        await deck.press("home", "down", "ctrl+d", "enter")
        assert "delete it?" not in deck.text
        assert len(titles(deck)) == 4
        await deck.press("ctrl+d", "ctrl+d")
        await deck.until(lambda: titles(deck) == ["Tell me", "為什麼", "Why is"], "one less")


async def test_deleting_what_chat_shows_begins_a_new_one(home: Path, past: list[int]) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await list_conversations(deck)
        await deck.press("enter")
        await deck.see("It is wide.")
        await deck.press("ctrl+f")
        await deck.see("the newest first")
        await deck.press("ctrl+d", "ctrl+d")
        await deck.until(lambda: deck.app.talk.conversation is None, "a new conversation")
        await deck.press("escape")
        await deck.until(lambda: "It is wide." not in deck.text, "nothing of it")


async def test_a_conversation_is_saved_from_the_list_and_from_chat(
    home: Path, past: list[int]
) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await list_conversations(deck)
        await deck.press("ctrl+e")
        await deck.see("exports/tell-me-of-the-sea.md and .json")
        await deck.press("enter")
        await deck.see("It is wide.")
        await deck.press("escape", "x")
        await deck.see("exports/tell-me-of-the-sea-2.md")
    names = {path.name for path in (data_dir() / "exports").iterdir()}
    stems = ("tell-me-of-the-sea", "tell-me-of-the-sea-2")
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("md", "json")}


async def test_what_another_deck_deleted_or_writes_is_said(home: Path, past: list[int]) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        other = Database.open(home / "deck.db", SCHEMAS)
        kept = Conversations(other)
        await list_conversations(deck)
        kept.drop(past[3])
        await deck.press("enter")
        await deck.see("has gone")
        await deck.until(lambda: len(titles(deck)) == 3, "one less")
        kept.begin_answer(past[2], None, "demo", "scripted")
        for keys in (("enter",), ("ctrl+d", "ctrl+d")):
            deck.app.give_notice(None)
            await deck.press(*keys)
            await deck.see("An answer is being written in that conversation")
        assert deck.app.talk.conversation is None
        other.close()


async def test_nothing_kept_yet(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("4", "ctrl+f")
        await deck.see("Nothing is kept yet")
        await deck.press("enter", "ctrl+r", "ctrl+d", "ctrl+d", "ctrl+e", "down", "pageup")
        assert "Nothing is kept yet" in deck.text


async def test_a_click_moves_and_a_second_one_opens(home: Path, past: list[int]) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await list_conversations(deck)
        await deck.pilot.click("ConversationRows", offset=(5, 2))
        await deck.press("up", "down")
        await deck.pilot.click("ConversationRows", offset=(5, 2))
        await deck.see("4-bit 量化後大約是")


async def test_the_users_own_settings_of_keys_count(home: Path, past: list[int]) -> None:
    settings = Settings(model_dirs=(home / "models",), keymap={"conversations.export": ("ctrl+y",)})
    async with open_deck(home, ScriptedEngine(), settings=settings) as deck:
        await list_conversations(deck)
        await deck.press("ctrl+y")
        await deck.see("Saved as")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_list_looks_as_it_did(
    home: Path, past: list[int], same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    async with open_deck(home, ScriptedEngine(), size=size) as deck:
        await list_conversations(deck)
        same_screen(deck.pilot)
        await deck.press("ctrl+d")
        same_screen(deck.pilot)
        await deck.press("down", "ctrl+r")
        await deck.pilot.pause(0.2)
        same_screen(deck.pilot)
        await deck.press("escape")
        await deck.type("blue sky")
        await deck.see("found")
        await deck.pilot.pause(0.2)
        same_screen(deck.pilot)
