"""The machine's clock is set back two days while an answer streams: rates and order hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.store.conversations import Conversations
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from tests.real.test_when_things_break import ask, leave, open_chat
from tests.support.machine import Machine
from tests.support.words import is_end_of, words_on

pytestmark = [pytest.mark.real, pytest.mark.chaos]

DAY_SECONDS = 86_400


@pytest.fixture
def library() -> Path:
    """libfaketime, which stands between a program and the clock."""
    places = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
    for place in places:
        for found in sorted(Path("/").glob(f"{place[1:]}/libfaketimeMT.so.1")):
            return found
    pytest.skip("libfaketime is not installed (Debian and Ubuntu: apt install faketime)")


def test_while_an_answer_is_written(
    machine: Machine, slow_model: Path, library: Path, tmp_path: Path
) -> None:
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    with machine.deck(
        LD_PRELOAD=str(library),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_CACHE_DURATION="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",  # as a clock that is set leaves it
    ) as deck:
        open_chat(deck, "slow")
        ask(deck, "First")
        deck.wait_for(r"^ +w\d+")
        clock.write_text("-2d\n")
        deck.pump(1.5)  # it is looked at every second
        before = int(deck.wait_for(r"tokens out +(\d+)")[1])
        while int(deck.wait_for(r"tokens out +(\d+)")[1]) < before + 50:
            deck.pump(0.2)
        assert float(deck.wait_for(r"([0-9.]+) tok/s")[1]) > 1
        deck.press("ESC")
        assert float(deck.wait_for(r"│ stopped +([0-9.]+) s")[1]) < 120
        deck.wait_for(r"^ *stopped\b")
        shown = words_on(deck.text)
        deck.press("^n")
        ask(deck, "Second")
        deck.wait_for(r"Second\s[^›]*w\d+")
        deck.press("ESC")
        deck.wait_for(r"^ *stopped\b")
        leave(deck)

    database = Database.open(machine.database, SCHEMAS)
    kept = Conversations(database)
    second, first = kept.recent()
    (_, answer) = kept.branch(first.leaf)
    database.close()
    assert (first.title, second.title) == ("First", "Second")
    assert second.updated < first.updated - DAY_SECONDS, "the deck saw the clock set back"
    assert answer.state == "stopped"
    assert is_end_of(shown, answer.text)
