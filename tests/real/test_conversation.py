"""A conversation with the real engine in a real terminal: what is said before sending is true."""

from __future__ import annotations

import pytest

from tests.real.test_when_things_break import open_chat
from tests.support.machine import Machine

pytestmark = pytest.mark.real
DONE = r"│ done +\d"


def test_the_next_prompt_is_counted_as_the_engine_then_takes_it(machine: Machine) -> None:
    with machine.deck() as deck:
        open_chat(deck, "second")
        deck.type("How do I quit?")
        said = deck.wait_for(r"next (\d+) of 2k")[1]
        deck.press("ENTER")
        deck.wait_for(rf"tokens in +{said}$")
        deck.wait_for(DONE)
        deck.type("And how do I filter?")
        said = deck.wait_for(r"next (\d+) of 2k")[1]
        deck.press("ENTER")
        deck.wait_for(rf"tokens in +{said}$")
        deck.press("ESC", "q")
        assert deck.wait_exit() == 0


def test_an_edited_question_is_answered_in_a_branch_and_both_survive_a_restart(
    machine: Machine,
) -> None:
    with machine.deck() as deck:
        open_chat(deck, "second")
        deck.type("How do I quit?")
        deck.press("ENTER")
        deck.wait_for(DONE)
        deck.press("ESC", "e")
        deck.wait_for(r"editing the last question")
        for _ in range(len("How do I quit?")):
            deck.press("BACKSPACE")
        deck.type("How do I filter the list?")
        deck.press("ENTER")
        deck.wait_for(r"you  2/2")
        deck.wait_for(DONE)
        deck.press("ESC", "b")
        deck.wait_for(r"you  1/2")
        deck.wait_for(r"^ +How do I quit\?")
        deck.wait_for(r"context .* \d+/2048")
        deck.press("q")
        assert deck.wait_exit() == 0
    with machine.deck() as deck:
        deck.wait_for(r"llama_server ●")
        deck.press("4", "^f")
        deck.wait_for(r"How do I quit\?")
        deck.press("ENTER")
        deck.wait_for(r"you  1/2")
        deck.wait_for(r"context .* ~\d+/–")
        deck.press("ESC", "b")
        deck.wait_for(r"you  2/2")
        deck.wait_for(r"How do I filter the list\?")
        deck.press("q")
        assert deck.wait_exit() == 0
