"""The engines of this machine: which are ready, which are not here, and which do not work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.engines.types import Probe
from tests.support.decks import open_deck
from tests.support.screens import ScreenCheck


class Answers(ScriptedEngine):
    """An engine that answers a probe like this."""

    def __init__(self, name: str, answer: Probe) -> None:
        super().__init__(Script(), name=name)
        self._answer = answer

    async def probe(self) -> Probe:
        """The answer."""
        return self._answer


def absent() -> Answers:
    return Answers(
        "absent",
        Probe(
            False,
            problem="The absent engine is not installed.",
            next_step="Run: pip install 'absent[cuda]'; then look again.",
            installed=False,
            command="pip install 'absent[cuda]'",
        ),
    )


def broken() -> Answers:
    step = "Run it by hand to see why: broken --version"
    return Answers("broken", Probe(False, "b1", "/opt/broken", (), "It does not answer.", step))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_one_that_is_not_here_looks_like_no_trouble(
    fresh_home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    async with open_deck(fresh_home, absent(), broken(), ScriptedEngine(), size=size) as deck:
        await deck.rest()
        await deck.see("absent ○  broken ✕  scripted ●")
        await deck.press("6")
        await deck.see("○ not installed")
        await deck.see("✕ not usable")
        await deck.see("pip install 'absent[cuda]'; then look again.")
        same_screen(deck.pilot)


async def test_the_command_that_installs_it_is_copied_alone(fresh_home: Path) -> None:
    async with open_deck(fresh_home, absent(), ScriptedEngine()) as deck:
        await deck.rest()
        await deck.press("6", "y")
        await deck.until(lambda: deck.app.clipboard == "pip install 'absent[cuda]'")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_an_engine_is_tried_with_the_smallest_model(
    fresh_home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    engine = ScriptedEngine(Script(decode_token_ns=0))
    async with open_deck(fresh_home, engine, size=size) as deck:
        await deck.rest()
        await deck.press("6")
        await deck.see("enter test")
        await deck.press("enter")
        await deck.see("scripted works with modeldeck-demo")
        await deck.see("unload")
        assert not await engine.models()
        assert deck.app.state.loaded is None
        lines = deck.app.state.trials["scripted"]
        deck.app.change(deck.app.state._replace(trials={"scripted": timeless(lines)}))
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)


def timeless(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines with the same times in every run."""
    return tuple(re.sub(r" *\d+ ms", lambda m: "7 ms".rjust(len(m[0])), line) for line in lines)


async def test_one_that_fails_its_test_says_where_and_what_to_do(fresh_home: Path) -> None:
    engine = ScriptedEngine(Script(refuses="It is asleep."))
    async with open_deck(fresh_home, engine) as deck:
        await deck.rest()
        await deck.press("6", "enter")
        await deck.see("scripted does not work with modeldeck-demo: It is asleep.")
        await deck.see("next: Ask something else.")
        assert not await engine.models()


async def test_one_that_is_not_here_is_not_tried(fresh_home: Path) -> None:
    async with open_deck(fresh_home, absent(), size=(120, 40)) as deck:
        await deck.rest()
        await deck.press("6")
        await deck.see("○ not installed")
        assert "enter test" not in deck.text
        await deck.press("enter")
        assert not deck.app.state.trials
