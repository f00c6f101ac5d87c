"""Two decks of one user at once: both talk, both change settings, one is killed."""

from __future__ import annotations

import shutil
import signal
import tomllib
from pathlib import Path

import pytest

from modeldeck.engines.store.conversations import Conversations, Message
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from tests.real.test_first_loop import engine_of, put_cursor_on, wait_until_gone
from tests.real.test_when_things_break import ask, leave, open_chat
from tests.support.machine import Machine
from tests.support.words import is_end_of, words_on

pytestmark = [pytest.mark.real, pytest.mark.chaos]

SETTINGS = '# where my models are\nmodel_dirs = ["~/models"] # all of them\n'


def answers(machine: Machine) -> dict[str, Message]:
    """Every kept question with the answer to it."""
    database = Database.open(machine.database, SCHEMAS)
    kept = Conversations(database)
    branches = [kept.branch(conversation.leaf) for conversation in kept.recent()]
    database.close()
    return {branch[0].text: branch[-1] for branch in branches}


@pytest.mark.parametrize("way", ["killed", "quits"])
def test_both_talk_and_one_ends_while_the_other_writes(
    machine: Machine, slow_model: Path, way: str
) -> None:
    machine.settings(SETTINGS)
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    # Both at once on a new home: one makes the database, the other waits for it.
    with machine.deck() as left, machine.deck() as right:
        open_chat(left, "slow")
        open_chat(right, "slow")
        ask(left, "The left one")
        ask(right, "The right one")
        left.wait_for(r"tokens out +[1-9]")
        right.wait_for(r"tokens out +[1-9]")

        lost_engine = engine_of(right)
        shown = words_on(right.text)
        if way == "killed":
            right.send_signal(signal.SIGKILL)
            right.wait_exit()
        else:
            leave(right)
        wait_until_gone(lost_engine)

        with machine.deck() as third:
            third.wait_for(r"slow +Q8_0")
            third.wait_for(r"llama_server ●")
            kept = answers(machine)
            assert kept["The left one"].state == "writing"
            assert kept["The right one"].state == "stopped"
            assert set(shown) <= set(kept["The right one"].text.split())
            # Loading sweeps up what the killed one left.
            put_cursor_on(third, "second")
            third.press("ENTER")
            third.wait_for(r"second Q8_0 +llama_server on")
            leave(third)

        left.press("ESC")
        left.wait_for(r"^ *stopped\b")
        shown = words_on(left.text)
        leave(left)
    kept = answers(machine)
    assert kept["The left one"].state == "stopped"
    assert is_end_of(shown, kept["The left one"].text)
    assert kept["The right one"].state == "stopped"


def test_both_change_the_settings_and_read_the_same_headers(machine: Machine) -> None:
    machine.settings(SETTINGS)
    for number in range(10):
        shutil.copy(machine.models / "second.gguf", machine.models / f"copy-{number}.gguf")
    with machine.deck() as left, machine.deck() as right:
        left.wait_for(r"llama_server ●")
        right.wait_for(r"llama_server ●")
        for _ in range(5):
            left.press("t")
            right.press("t")
        left.wait_for(r"Theme ")
        right.wait_for(r"Theme ")
        leave(left)
        leave(right)
    text = (machine.home / ".config" / "modeldeck" / "config.toml").read_text()
    assert text.startswith(SETTINGS)
    table = tomllib.loads(text)
    assert set(table) == {"model_dirs", "theme"}
    database = Database.open(machine.database, SCHEMAS)
    assert not database.note
    rows = database.rows("SELECT path, problem FROM headers")
    database.close()
    names = {Path(row["path"]).stem for row in rows if row["problem"] is None}
    assert {"second", *(f"copy-{number}" for number in range(10))} <= names
    assert len({row["path"] for row in rows}) == len(rows)
