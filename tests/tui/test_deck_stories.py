"""What a user does with the deck and sees of it, with an engine that follows a script."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input

from modeldeck.engines.chat import ChatEvent, ChatRequest
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.tui.settings import Settings
from tests.support.bytes_sent import bytes_sent
from tests.support.decks import Deck, dense, open_deck
from tests.support.screens import ScreenCheck

SLOW = Script(answer=tuple(f"word{i} " for i in range(5000)), decode_token_ns=20_000_000)


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    dense(models, "Small-3B", blocks=28, embedding=3072)
    dense(models, "Middle-8B", blocks=32, embedding=4096)
    dense(models, "Large-70B", blocks=80, embedding=8192)
    with (models / "Small-3B.gguf").open("rb") as whole:
        (models / "cut.gguf").write_bytes(whole.read(5000))
    return fresh_home


class Listening(ScriptedEngine):
    """A scripted engine that remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[ChatRequest] = []

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        self.heard.append(request)
        return super().chat(request)


async def chat_with(deck: Deck, name: str) -> None:
    """Put the cursor on a model and press enter."""
    await deck.rest()
    key = next(m.id for m in deck.app.state.models if m.name == name)
    from modeldeck.tui.widgets.row_list import RowList

    deck.app.screen.query_one(RowList).move_to(key)
    await deck.press("enter")
    await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
    await deck.see(f"{name} Q4_K_M")


async def ask(deck: Deck, text: str) -> None:
    await deck.type(text)
    await deck.press("enter")


async def test_the_list_says_what_fits(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        rows = {
            line.split()[0].strip("▌"): line for line in deck.text.splitlines() if "Q4_K_M" in line
        }
        assert "● fits" in rows["Small-3B"]
        assert "● fits" in rows["Middle-8B"]
        assert "of 80 layers" in rows["Large-70B"]
        assert "✕" in next(line for line in deck.text.splitlines() if "cut" in line[:6])


async def test_another_context_is_another_verdict(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        before = dict(deck.app.state.verdicts)
        await deck.press("c")
        await deck.see("ctx 16k")
        await deck.rest()
        assert all(
            deck.app.state.verdicts[k] != v for k, v in before.items() if v.bill and v.layers > 4
        )
        await deck.press("k")
        await deck.see("kv q8_0")


async def test_filter_and_sort(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("slash")
        await ask(deck, "8b")
        assert "Middle-8B" in deck.text
        assert "Large-70B" not in deck.text
        await deck.press("escape")
        assert "Large-70B" in deck.text
        await deck.press("s", "s")
        names = [line.strip(" ▌").split()[0] for line in deck.text.splitlines()[3:8]]
        assert names.index("Small-3B") < names.index("Middle-8B") < names.index("Large-70B")


async def test_letters_are_text_in_a_text_field(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("slash")
        await deck.type("4q6u1")
        assert deck.app.screen.query_one(Input).value == "4q6u1"
        assert "1 Models" in deck.text
        assert deck.app.is_running
        await deck.press("escape", "6")
        await deck.see("ENGINE")


async def test_enter_loads_and_a_question_asked_meanwhile_waits(home: Path) -> None:
    engine = ScriptedEngine(replace(Script(), load_step_ns=200_000_000))
    async with open_deck(home, engine) as deck:
        await deck.rest()
        await deck.press("end", "enter")
        await deck.see("loading:")
        await ask(deck, "Are you there?")
        await deck.see("Hello, deck.")
        assert "Are you there?" in deck.text
        assert "engine" in deck.text


async def test_stop_and_ask_again(home: Path) -> None:
    async with open_deck(home, ScriptedEngine(SLOW)) as deck:
        await chat_with(deck, "Small-3B")
        await ask(deck, "Go on")
        await deck.see("word10 ")
        await deck.press("escape")
        await deck.see("stopped")
        first = deck.app.talk.messages[-1]
        assert first.state == "stopped"
        assert "word10 " in first.text
        await deck.press("ctrl+r")
        await deck.until(lambda: deck.app.talk.busy, "the second answer")
        await deck.press("escape")
        await deck.until(lambda: not deck.app.talk.busy, "the end")
        assert deck.app.talk.messages[-1].id != first.id
        assert deck.app.talk.messages[-1].parent == first.parent
        kept = deck.services.conversations.branch(first.id)
        assert kept[-1].text == first.text


async def test_settings_reach_the_engine(home: Path) -> None:
    engine = Listening()
    async with open_deck(home, engine) as deck:
        await chat_with(deck, "Small-3B")
        await deck.press("ctrl+t")
        await deck.type("Be brief")
        await deck.press("tab")
        await deck.type("0.5")
        await deck.press("enter", "escape")
        await ask(deck, "Hi")
        await deck.see("Hello, deck.")
    request = engine.heard[-1]
    assert [message.role for message in request.messages] == ["system", "user"]
    assert request.messages[0].content == "Be brief"
    assert request.sampling.temperature == 0.5


async def test_switching_keeps_the_conversation(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await chat_with(deck, "Small-3B")
        await ask(deck, "First")
        await deck.see("Hello, deck.")
        await deck.press("ctrl+o")
        await deck.type("middle")
        await deck.press("enter")
        await deck.see("Middle-8B Q4_K_M")
        assert "First" in deck.text
        await ask(deck, "Second")
        await deck.until(lambda: len(deck.app.talk.messages) == 4, "two answers")
        await deck.press("ctrl+n")
        await deck.until(lambda: "First" not in deck.text, "a new conversation")


async def test_reasoning_is_apart_and_folds(home: Path) -> None:
    script = Script(reasoning=("Let ", "me ", "think"), answer=("Done", "."))
    async with open_deck(home, ScriptedEngine(script)) as deck:
        await chat_with(deck, "Small-3B")
        await ask(deck, "Think")
        await deck.see("Done.")
        await deck.see(" s, 3 tokens")
        assert "me think" not in deck.text
        await deck.press("ctrl+g")
        await deck.see("Let me think")


async def test_the_engine_dies_and_comes_back(home: Path) -> None:
    engine = ScriptedEngine(replace(SLOW, dies_after=20))
    async with open_deck(home, engine) as deck:
        await chat_with(deck, "Small-3B")
        await ask(deck, "Go on")
        await deck.see("✕")
        assert "word5 " in deck.text
        assert deck.app.talk.messages[-1].state == "failed"
        engine.script = Script()
        await deck.until(lambda: deck.app.state.loaded is None, "the loss noticed")
        await ask(deck, "Again")
        await deck.see("Hello, deck.")


async def test_a_load_that_fails_says_why(home: Path) -> None:
    engine = ScriptedEngine(Script(broken=frozenset({"Small-3B"})))
    async with open_deck(home, engine) as deck:
        await deck.rest()
        await deck.press("end", "enter")
        await deck.see("✕")
        assert "Small-3B" in deck.text
        assert deck.app.state.notice is not None
        assert deck.app.state.notice.next_step


async def test_unload(home: Path) -> None:
    engine = ScriptedEngine()
    async with open_deck(home, engine) as deck:
        await chat_with(deck, "Small-3B")
        await deck.press("escape", "u")
        await deck.see("is unloaded")
        assert not await engine.models()


async def test_the_users_own_keys(home: Path) -> None:
    settings = Settings(model_dirs=(home / "models",), keymap={"models.context": ("x",)})
    async with open_deck(home, ScriptedEngine(), settings=settings) as deck:
        await deck.rest()
        assert "x context" in deck.text
        await deck.press("c")
        assert "ctx 8k" in deck.text
        await deck.press("x")
        await deck.see("ctx 16k")
        await deck.press("question_mark")
        await deck.see("Keys that work now in Models")
        line = next(line for line in deck.text.splitlines() if "change the context" in line)
        assert line.split()[0] == "x"


async def test_help_in_a_chat_lists_no_letters_of_other_places(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("4", "escape", "question_mark")
        await deck.see("Keys that work now in Chat")
        assert "filter the list" not in deck.text
        assert "switch to another model" in deck.text


async def test_the_palette_finds_models_and_themes_by_words(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("ctrl+p")
        await deck.type("chat large")
        await deck.see("Chat with Large-70B")
        await deck.press("escape", "ctrl+p")
        await deck.type("theme contrast")
        await deck.see("Theme deck-contrast")
        await deck.press("enter")
        await deck.until(lambda: deck.app.theme == "deck-contrast", "the theme")


async def test_a_theme_is_remembered(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("t")
        await deck.see("Theme ")
        name = deck.app.theme
    config = (home / ".config" / "modeldeck" / "config.toml").read_text()
    assert f'theme = "{name}"' in config


async def test_an_answer_is_copied_through_the_terminal(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bytes_sent(monkeypatch) as sent:
        async with open_deck(home, ScriptedEngine()) as deck:
            await chat_with(deck, "Small-3B")
            await ask(deck, "Hi")
            await deck.see("Hello, deck.")
            await deck.press("escape")
            sent.reset()
            await deck.press("y")
            assert "\x1b]52;c;SGVsbG8sIGRlY2su\x07" in sent.text


async def test_nothing_hostile_reaches_the_terminal(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "[red]x[/]\x1b]0;pwned\x07\x9b31m\u202eabc 字e\u0301"
    os.link(home / "models" / "Small-3B.gguf", home / "models" / f"A{evil.replace('/', '|')}.gguf")
    (home / "models" / "Small-3B.gguf").unlink()
    script = Script(answer=(evil, "\n\n```\n", evil, "\n```\n[/]", "| a |\n|---|\n|", evil, "|\n"))
    with bytes_sent(monkeypatch) as sent:
        async with open_deck(home, ScriptedEngine(script)) as deck:
            await deck.rest()
            await deck.press("home", "enter")
            await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
            await ask(deck, "[/] [bold]")
            await deck.until(lambda: len(deck.app.talk.messages) == 2 and not deck.app.talk.busy)
            await deck.see("[red]x[/]")
            await deck.press("ctrl+o", "escape", "escape", "l", "escape", "ctrl+p")
            await deck.pilot.pause(0.2)
        assert "\x1b]0;" not in sent.text
        assert "\x9b" not in sent.text
        assert "\u202e" not in sent.text
        assert "pwned" in sent.text


async def test_a_problem_with_the_settings_is_said(home: Path) -> None:
    async with open_deck(home, ScriptedEngine(), problems=("The setting x is odd.",)) as deck:
        await deck.see("The setting x is odd.")


async def test_an_empty_machine_offers_the_demo(fresh_home: Path) -> None:
    async with open_deck(fresh_home, ScriptedEngine()) as deck:
        await deck.rest()
        await deck.see("No models here yet.")
        assert "~/models" in deck.text
        await deck.press("d")
        await deck.until(lambda: deck.app.state.loaded is not None, "the demo model")


async def test_the_cursor_costs_few_bytes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bytes_sent(monkeypatch) as sent:
        async with open_deck(home, ScriptedEngine()) as deck:
            await deck.rest()
            await deck.press("down")
            await deck.pilot.pause(0.5)
            sent.reset()
            await deck.pilot.pause(1.0)
            assert sent.count == 0, "an idle deck is silent"
            await deck.press("down")
            await deck.pilot.pause(0.6)
            assert 0 < sent.count <= 650 + 3000, "two rows, then the bill of another model"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_screens_look_as_they_did(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    async with open_deck(home, ScriptedEngine(), size=size) as deck:
        await deck.rest()
        await deck.press("home", "down", "down")
        await deck.pilot.pause(0.5)
        same_screen(deck.pilot)
        await deck.press("question_mark")
        same_screen(deck.pilot)
        await deck.press("escape", "6")
        await deck.pilot.pause(0.2)
        same_screen(deck.pilot)
        await deck.press("4")
        await deck.pilot.pause(0.2)
        same_screen(deck.pilot)
