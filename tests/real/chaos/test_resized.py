"""The terminal is resized over and over while an answer streams: nothing is lost or left wrong."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.real.test_when_things_break import ask, leave, open_chat
from tests.support.machine import Machine
from tests.support.words import words_of, words_on

pytestmark = pytest.mark.real

SMALLEST, LARGEST = (20, 5), (200, 60)


@pytest.mark.parametrize("times", [20, pytest.param(100, marks=pytest.mark.chaos)])
def test_while_it_streams(machine: Machine, slow_model: Path, times: int) -> None:
    chance = random.Random("resize")
    print("seed: resize")
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        open_chat(deck, "slow")
        ask(deck, "Go on")
        deck.wait_for(r"tokens out +[1-9]")
        for number in range(times):
            columns = chance.randint(SMALLEST[0], LARGEST[0])
            lines = chance.randint(SMALLEST[1], LARGEST[1])
            deck.resize(*((columns, lines) if number % 10 else SMALLEST))
            deck.pump(chance.uniform(0, 0.06))
        deck.resize(*LARGEST)
        deck.pump(0.3)
        deck.press("ESC")
        deck.wait_for(r"^ *stopped\b")
        deck.pump(0.5)
        shown = deck.text

        # What is on the screen is what would be painted on an empty one.
        deck.resize(LARGEST[0] - 1, LARGEST[1])
        deck.pump(0.5)
        deck.screen.reset()
        deck.resize(*LARGEST)
        deck.send_signal(signal.SIGWINCH)
        deck.pump(0.5)
        deck.wait_for(r"^ *stopped\b")
        assert steady(shown) == steady(deck.text)

        (question, answer) = machine.kept_messages()
        assert question.text == "Go on"
        assert answer.state == "stopped"
        assert len(words_of(answer.text)) > 10
        assert words_on(shown) == words_of(answer.text)
        leave(deck)


def steady(screen: str) -> list[str]:
    """The lines without what follows the machine: its load and memory."""
    return [line.partition("│")[0].rstrip() for line in screen.splitlines()[1:]]
