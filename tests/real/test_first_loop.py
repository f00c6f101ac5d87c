"""The whole loop in a real terminal with the real engine: nothing here is a stand-in."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil
import pytest

from tests.support.machine import Machine
from tests.support.terminal import Terminal

pytestmark = pytest.mark.real


def engine_of(deck: Terminal) -> psutil.Process:
    """The engine's process: the child that runs the server."""
    (child,) = (p for p in deck.children() if "xllamacpp_server" in " ".join(p.cmdline()))
    return child


def put_cursor_on(deck: Terminal, name: str) -> None:
    """Move the cursor of the list to a model, as a person does: by looking where it is."""
    deck.press("HOME")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        at = _line(deck, "▌")
        if at is not None and at == _line(deck, rf"▌(?:▶ )?{name}"):
            return
        wanted = _line(deck, rf"[ ▌](?:▶ )?{name}")
        deck.press("UP" if at is not None and wanted is not None and wanted < at else "DOWN")
        for _ in range(10):  # a busy machine shows it later
            if _line(deck, "▌") != at:
                break
            deck.pump(0.1)
    raise AssertionError(f"no row {name}:\n{deck.text}")


def _line(deck: Terminal, start: str) -> int | None:
    """The first line of the screen that begins so."""
    lines = deck.text.splitlines()
    return next((i for i, line in enumerate(lines) if re.match(start, line)), None)


def wait_until_gone(process: psutil.Process) -> None:
    process.wait(timeout=10)
    assert not process.is_running()


def see_the_question(deck: Terminal) -> None:
    """Go up to it: on a fast machine the answer has pushed it out of the screen."""
    deck.press("HOME")
    deck.wait_for(r"^ +Tell me a long story\b")


def test_open_pick_load_ask_watch_switch_unload_quit(machine: Machine, slow_model: Path) -> None:
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        deck.wait_for(r"^.?slow +Q8_0 +\S+ +● fits")
        deck.wait_for(r"llama_server ●")

        put_cursor_on(deck, "slow")
        deck.press("ENTER")
        deck.wait_for(r"slow Q8_0 +llama_server on CPU +ctx 4k f16")
        slow_engine = engine_of(deck)

        deck.type("Tell me a long story")
        deck.press("ENTER")
        rates: set[str] = set()
        for _ in range(12):
            rates.add(deck.wait_for(r"([0-9]+\.[0-9]+) tok/s")[1])
            deck.pump(0.3)
        assert len(rates) >= 3, rates
        assert all(1 < float(rate) < 5000 for rate in rates)
        deck.wait_for(r"decode +[0-9.]+ s +engine")
        deck.press("ESC")
        deck.wait_for(r"^ *stopped\b")
        see_the_question(deck)

        deck.press("^o")
        deck.wait_for(r"type to filter")
        deck.type("second")
        deck.press("ENTER")
        deck.wait_for(r"second Q8_0 +llama_server on CPU +ctx 2k f16")
        wait_until_gone(slow_engine)
        see_the_question(deck)
        second_engine = engine_of(deck)

        deck.press("^n")
        deck.wait_gone(r"Tell me a long story|stopped")
        deck.type("How do I quit?")
        deck.press("ENTER")
        deck.wait_for(r"quit the deck")
        deck.wait_for(r"tokens out +[1-9]")

        deck.press("ESC")
        deck.press("u")
        deck.wait_for(r"second is unloaded")
        wait_until_gone(second_engine)

        deck.press("q")
        assert deck.wait_exit() == 0
        assert b"\x1b[?1049l" in deck.received


def test_the_conversation_is_there_after_the_deck_is_killed(
    machine: Machine, slow_model: Path
) -> None:
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        deck.wait_for(r"llama_server ●")
        put_cursor_on(deck, "slow")
        deck.press("ENTER")
        deck.wait_for(r"slow Q8_0 +llama_server")
        deck.type("Count")
        deck.press("ENTER")
        deck.wait_for(r"tokens out +[3-9][0-9]")
        engine = engine_of(deck)
        shown = deck.text
        deck.close()
        wait_until_gone(engine)
    words = re.findall(r"\bw\d+\b", "\n".join(line[:86] for line in shown.splitlines()))
    time.sleep(0.1)
    from modeldeck.engines.store.conversations import Conversations
    from modeldeck.engines.store.database import Database
    from modeldeck.engines.store.schemas import SCHEMAS

    path = machine.home / ".local" / "share" / "modeldeck" / "modeldeck.db"
    database = Database.open(path, SCHEMAS)
    kept = Conversations(database)
    (conversation,) = kept.recent()
    asked, answered = kept.branch(conversation.leaf)
    database.close()
    assert asked.text == "Count"
    assert answered.state == "stopped"
    lost = len(words) - len(re.findall(r"\bw\d+\b", answered.text))
    assert lost <= 40, f"{lost} words of {len(words)} lost"
    for directory in machine.runtime.iterdir():
        # A killed deck cannot clean up; the next one does.
        assert directory.name.startswith("modeldeck-")
    with machine.deck() as deck:
        deck.wait_for(r"llama_server ●")
        put_cursor_on(deck, "second")
        deck.press("ENTER")
        deck.wait_for(r"second Q8_0 +llama_server")
        deck.press("ESC", "q")
        assert deck.wait_exit() == 0
