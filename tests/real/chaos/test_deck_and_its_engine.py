"""A person's deck whose engine is killed, or hangs: what is seen, what is kept, what is left.

The moments are drawn from fixed seeds, which a failing test prints.
"""

from __future__ import annotations

import random
import signal
from pathlib import Path

import psutil
import pytest

from tests.real.chaos.test_engine_killed import LONG_QUESTION
from tests.real.test_first_loop import engine_of, wait_until_gone
from tests.real.test_when_things_break import ask, leave, open_chat
from tests.support.census import Census, wait_for_same
from tests.support.machine import Machine
from tests.support.terminal import Terminal
from tests.support.words import is_end_of, words_on

pytestmark = [pytest.mark.real, pytest.mark.chaos]

POOL_THREADS = 4
"""How many threads a deck's pool may still start after the count before."""


class Watched:
    """A deck with nothing loaded, and what it held when it had loaded and unloaded once."""

    def __init__(self, machine: Machine, deck: Terminal) -> None:
        self.machine, self.deck = machine, deck
        open_chat(deck, "second")
        ask(deck, "How do I quit?")
        deck.wait_for(r"done +[0-9.]+ s +engine")
        self.unload("second")
        self._before = self._count()

    def _count(self) -> Census:
        self.deck.pump(0.1)
        return Census.of(self.deck.pid, self.machine.runtime, self.machine.temporary)

    def unload(self, name: str) -> None:
        self.deck.press("ESC", "u")
        self.deck.wait_for(rf"{name} is unloaded")

    def nothing_is_left(self) -> None:
        wait_for_same(self._before, self._count, threads=POOL_THREADS)

    def pick(self, name: str) -> None:
        self.deck.press("i", "^o")
        self.deck.wait_for(r"type to filter")
        self.deck.type(name)
        self.deck.press("ENTER")


def engine_that_loads(deck: Terminal) -> psutil.Process:
    """Wait for the server of a load; what is started before only to ask for devices is not it."""
    while True:
        for child in deck.children():
            words = child.cmdline()
            if words and words[-1].endswith("xllamacpp_server"):
                return child
        deck.pump(0.01)


def kill_in(phase: str, watched: Watched, chance: random.Random) -> None:
    """Bring the deck to a random moment of a phase and kill its engine there."""
    deck = watched.deck
    watched.pick("slow")
    if phase == "load":
        engine = engine_that_loads(deck)
        deck.pump(chance.uniform(0, 0.3))
        engine.kill()
        deck.wait_for(r"(could not load|stopped while it held) slow")
        return
    deck.wait_for(r"slow Q8_0 +llama_server on")
    if phase == "prefill":
        deck.paste(LONG_QUESTION)
        deck.press("ENTER")
        deck.wait_for(r"│ prefill +\d")
        deck.pump(chance.uniform(0, 3))
    else:
        ask(deck, "Go on")
        deck.wait_for(r"^ +w\d+")
        deck.pump(chance.uniform(0, 2))
    engine_of(deck).kill()
    deck.wait_for(r"stopped while it held slow: it was ended by SIGKILL")
    deck.wait_for(r"Send again")


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("phase", ["load", "prefill", "decode"])
def test_the_engine_is_killed(machine: Machine, slow_model: Path, phase: str, number: int) -> None:
    seed = f"deck {phase} {number}"
    print("seed:", seed)
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        watched = Watched(machine, deck)
        kill_in(phase, watched, random.Random(seed))
        shown = words_on(deck.text)
        kept = machine.kept_messages()[-1]
        if phase == "decode":
            assert kept.state == "failed"
            assert is_end_of(shown, kept.text)
        deck.press("^n")
        ask(deck, "And again")
        deck.wait_for(r"slow Q8_0 +llama_server on")
        deck.wait_for(r"^ +w\d+")
        deck.press("ESC")
        deck.wait_for(r"^ *stopped\b")
        watched.unload("slow")
        watched.nothing_is_left()
        leave(deck)


def hang(engine: psutil.Process, deck: Terminal) -> None:
    """Stop the engine and wait until the deck says so."""
    engine.send_signal(signal.SIGSTOP)
    deck.wait_for(r"✕ The engine does not answer\. Wait, esc stops the answer, or unload it")


def test_the_engine_hangs_and_is_ended(machine: Machine, slow_model: Path) -> None:
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        engine = open_chat(deck, "slow")
        ask(deck, "Go on")
        deck.wait_for(r"tokens out +[1-9]")
        hang(engine, deck)
        shown = words_on(deck.text)
        deck.press("ESC")
        deck.wait_for(r"^ *stopped\b")
        deck.wait_gone(r"does not answer")
        deck.press("ESC", "u")
        deck.wait_for(r"slow is unloaded")
        wait_until_gone(engine)
        leave(deck)
    kept = machine.kept_messages()[-1]
    assert kept.state == "stopped"
    assert is_end_of(shown, kept.text)


def test_the_engine_hangs_for_half_a_minute_and_goes_on(machine: Machine, slow_model: Path) -> None:
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        engine = open_chat(deck, "slow")
        ask(deck, "Go on")
        deck.wait_for(r"tokens out +[1-9]")
        hang(engine, deck)
        for _ in range(3):  # the deck lives all the while
            deck.pump(9)
            deck.press("^p")
            deck.wait_for(r"Search")
            deck.press("ESC")
            deck.wait_for(r"The engine does not answer")
        before = int(deck.wait_for(r"tokens out +(\d+)")[1])
        engine.resume()
        deck.wait_gone(r"does not answer")
        while int(deck.wait_for(r"tokens out +(\d+)")[1]) <= before + 10:
            deck.pump(0.2)
        deck.press("ESC")
        deck.wait_for(r"^ *stopped\b")
        ask(deck, "Again")
        deck.wait_for(r"tokens out +[1-9]", timeout_s=60)
        hang(engine, deck)
        deck.press("^q")
        assert deck.wait_exit() == 0
        wait_until_gone(engine)


@pytest.mark.parametrize("way", ["goes on", "unload", "quit"])
def test_the_engine_hangs_in_a_load(machine: Machine, slow_model: Path, way: str) -> None:
    (machine.models / "slow.gguf").hardlink_to(slow_model)
    with machine.deck() as deck:
        watched = Watched(machine, deck)
        watched.pick("slow")
        engine = engine_that_loads(deck)
        engine.send_signal(signal.SIGSTOP)
        deck.wait_for(r"slow +loading: the engine does not answer")
        if way == "goes on":
            engine.resume()
            deck.wait_for(r"slow Q8_0 +llama_server on")
            watched.unload("slow")
        elif way == "unload":
            deck.press("ESC", "u")
            deck.wait_for(r"no model loaded")
        if way != "quit":
            watched.nothing_is_left()
        leave(deck)
    wait_until_gone(engine)
