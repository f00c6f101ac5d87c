"""Another program holds the database for long: the screen lives, and all is kept later."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from modeldeck.engines.store.database import BUSY_SECONDS
from tests.real.test_when_things_break import ask, leave, open_chat
from tests.support.machine import Machine
from tests.support.words import words_of, words_on

pytestmark = [pytest.mark.real, pytest.mark.chaos]


def test_while_an_answer_is_written(machine: Machine, slow_model: Path) -> None:
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        open_chat(deck, "slow")
        ask(deck, "Go on")
        deck.wait_for(r"tokens out +[1-9]")
        with closing(sqlite3.connect(machine.database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            before = int(deck.wait_for(r"tokens out +(\d+)")[1])
            deck.pump(BUSY_SECONDS + 1)
            assert int(deck.wait_for(r"tokens out +(\d+)")[1]) > before
            deck.press("ESC")
            deck.wait_for(r"^ *stopped\b")
            shown = words_on(deck.text)
            deck.wait_for(r"The answer is not kept yet: The database\s+\S+\s+is\s+in\s+use")
            ask(deck, "More")
            deck.wait_for(r"^ +More")
            deck.wait_for(r"✕ The database\s+\S+\s+is\s+in\s+use")
            other.execute("ROLLBACK")
        deck.wait_for(r"› More")  # given back to be sent again
        deck.press("ENTER")
        deck.wait_for(r"More\s[^›]*w\d+")
        deck.press("ESC")
        deck.wait_for(r"More\s[^›]*^ *stopped\b")
        leave(deck)
    first, answer, second, _ = machine.kept_messages()
    assert (first.text, second.text) == ("Go on", "More")
    assert answer.state == "stopped"
    whole = words_of(answer.text)
    assert len(whole) > 50
    assert " ".join(whole).endswith(" ".join(shown[-50:]))
