"""A model is deleted from the list: asked in place, taken to the trash, brought back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.tui.cli import main
from modeldeck.tui.settings import Settings
from tests.support.decks import Deck, dense, open_deck
from tests.support.screens import ScreenCheck


@pytest.fixture
def home(fresh_home: Path) -> Path:
    models = fresh_home / "models"
    models.mkdir()
    for name in ("Other-3B", "Small-3B"):
        dense(models, name, blocks=28, embedding=3072)
    return fresh_home


@contextmanager
def held_open(file: Path) -> Generator[int]:
    """Another process has the file open; its id."""
    code = "import sys; f = open(sys.argv[1]); print(flush=True); input()"
    words = [sys.executable, "-c", code, str(file)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield holder.pid
        holder.communicate(b"\n")


async def on_small(deck: Deck) -> None:
    await deck.rest()
    await deck.cursor_on("Small-3B")


async def test_the_first_press_asks_and_the_second_one_moves_it_to_the_trash(home: Path) -> None:
    file = home / "models" / "Small-3B.gguf"
    async with open_deck(home, ScriptedEngine()) as deck:
        await on_small(deck)
        await deck.press("x")
        await deck.see("x again moves it to the trash, esc keeps it.")
        assert "Delete Small-3B (" in deck.text
        assert file.exists()
        await deck.press("x")
        await deck.see("is in the trash for 14 days")
        await deck.until(lambda: all(m.name != "Small-3B" for m in deck.app.state.models))
        assert not file.exists()
    assert main(["rm", "--undo"]) == 0
    assert file.exists()


async def test_another_row_or_esc_asks_no_more(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await on_small(deck)
        await deck.press("x")
        await deck.see("esc keeps it")
        await deck.press("escape")
        assert "esc keeps it" not in deck.text
        await deck.press("x")
        await deck.see("esc keeps it")
        await deck.cursor_on("Other-3B")
        await deck.until(lambda: "esc keeps it" not in deck.text, "no question")
        await deck.press("x")
        await deck.see("Delete Other-3B")
        await deck.pilot.pause(0.2)
        assert (home / "models" / "Small-3B.gguf").exists()
        assert (home / "models" / "Other-3B.gguf").exists()


async def test_what_is_loaded_and_what_is_ours_stays(home: Path) -> None:
    async with open_deck(home, ScriptedEngine()) as deck:
        await on_small(deck)
        await deck.press("enter")
        await deck.until(lambda: deck.app.state.loaded is not None, "a loaded model")
        await deck.press("escape", "1", "x")
        await deck.see("Small-3B is loaded. Unload it first.")
        demo = next(m for m in deck.app.state.models if m.source == "demo")
        await deck.cursor_on(demo.name)
        await deck.press("x")
        await deck.see("The demo model is a part of modeldeck.")


async def test_without_a_trash_it_says_for_good(home: Path) -> None:
    settings = Settings(model_dirs=(home / "models",), trash_days=0)
    async with open_deck(home, ScriptedEngine(), settings=settings) as deck:
        await on_small(deck)
        await deck.press("x")
        await deck.see("deletes it for good")
        await deck.press("x")
        await deck.see("is deleted:")


async def test_its_other_names_and_who_has_it_open_are_said(home: Path) -> None:
    file = home / "models" / "Small-3B.gguf"
    (home / "models" / "linked.gguf").symlink_to(file)
    with held_open(file) as pid:
        async with open_deck(home, ScriptedEngine()) as deck:
            await on_small(deck)
            await deck.press("x")
            await deck.see("It goes under all its names:")
            assert "linked" in deck.text
            notice = deck.app.state.notice
            assert notice is not None
            assert f"({pid})" in notice.next_step


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_question_looks_as_it_did(
    home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    async with open_deck(home, ScriptedEngine(), size=size) as deck:
        await on_small(deck)
        await deck.press("x")
        await deck.see("esc keeps it")
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)
