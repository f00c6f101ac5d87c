"""The disk is full while an answer is kept: nothing is lost, and it is kept later."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.real.test_when_things_break import ask, leave, open_chat
from tests.support.machine import Machine
from tests.support.small_disk import as_seen_by, fill, on_small_disk, why_not
from tests.support.terminal import Terminal, modeldeck_command
from tests.support.words import words_of, words_on

pytestmark = [pytest.mark.real, pytest.mark.chaos]


@pytest.fixture
def deck(machine: Machine, slow_model: Path) -> Terminal:
    """A deck whose conversations go to a small disk."""
    if reason := why_not():
        pytest.skip(reason)
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    machine.database.parent.mkdir(parents=True)
    command = on_small_disk(modeldeck_command(), machine.database.parent)
    return Terminal(command, environ=machine.environ())


def stop_on_a_full_disk(deck: Terminal, machine: Machine) -> tuple[Path, list[str]]:
    """Have an answer stopped long after the disk was full; what fills it, and what was written."""
    open_chat(deck, "slow")
    ask(deck, "Go on")
    deck.wait_for(r"^ +w\d+")
    filler = fill(as_seen_by(deck.pid, machine.database.parent))
    deck.wait_for(r"The answer is not kept yet:\s+There is no room left for the database")
    before = int(deck.wait_for(r"tokens out +(\d+)")[1])
    while int(deck.wait_for(r"tokens out +(\d+)")[1]) < before + 100:
        deck.pump(0.2)
    deck.press("ESC")
    deck.wait_for(r"^ *stopped\b")
    deck.wait_for(r"The answer is not kept yet:\s+There is no room left for the database")
    return filler, words_on(deck.text)


def test_it_is_kept_once_there_is_room(deck: Terminal, machine: Machine, tmp_path: Path) -> None:
    with deck:
        filler, shown = stop_on_a_full_disk(deck, machine)
        assert len(shown) > 100
        ask(deck, "More")
        deck.wait_for(r"There is no room left for the database")
        deck.wait_for(r"› More")  # given back to be sent again
        assert words_on(deck.text) == shown

        filler.unlink()
        deck.press("ENTER")
        deck.wait_for(r"More\s[^›]*w\d+")
        deck.press("ESC")
        deck.wait_for(r"More\s[^›]*^ *stopped\b")
        deck.pump(0.5)
        # SQLite follows links to the name a file has in our own namespace, so it gets a copy.
        disk = as_seen_by(deck.pid, machine.database.parent)
        copy = shutil.copytree(disk, tmp_path / "copy") / machine.database.name
        first, answer, second, _ = machine.kept_messages(copy)
        assert (first.text, second.text) == ("Go on", "More")
        assert answer.state == "stopped"
        assert words_of(answer.text) == shown
        leave(deck)


def test_leaving_says_what_was_not_kept(deck: Terminal, machine: Machine) -> None:
    with deck:
        stop_on_a_full_disk(deck, machine)
        deck.press("^q")
        assert deck.wait_exit() == 0
        assert b"There is no room left for the database" in deck.received[-2000:]
