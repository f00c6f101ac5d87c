"""What a user does in the Pulls place, with pulls that follow a script."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.pulls.types import PullState
from modeldeck.engines.scripted import ScriptedEngine
from tests.support.bytes_sent import bytes_sent
from tests.support.decks import Deck, dense, open_deck
from tests.support.screens import ScreenCheck
from tests.support.scripted_hub import FOUND, NOW, Script, services_with, unread, variants_of
from tests.support.scripted_pulls import ScriptedPulls, pull

RUNNING = pull("Qwen3-14B", PullState.RUNNING, 3.5, 9.0, rate=48)
QUEUED = pull("Mistral-Small-24B", PullState.QUEUED, 0, 14.3)
FAILED = replace(
    pull("gemma-3-27b", PullState.FAILED, 1.2, 16.0),
    problem="The disk is full: 4.1 GB are missing in ~/models.",
    next_step="Make room, then press r.",
)
WAITING = replace(
    pull("Llama-3.3-70B", PullState.WAITING, 20, 42.5),
    note="The server asked for patience.",
    retry_at=NOW + 95,
)
DONE = replace(
    pull("Phi-4", PullState.DONE, 9.1, 9.1),
    placed=("/models/phi-4-Q4_K_M.gguf",),
    ended_at=NOW - 7200,
)


def deck_with(
    home: Path, pulls: ScriptedPulls, size: tuple[int, int] = (120, 40)
) -> AbstractAsyncContextManager[Deck]:
    return open_deck(
        home, ScriptedEngine(), size=size, services_class=services_with(Script(), pulls)
    )


async def open_pulls(deck: Deck) -> None:
    await deck.rest()
    await deck.press("3")
    await deck.see("STATE")


async def test_what_is_on_its_way_is_seen_with_rate_and_time_left(fresh_home: Path) -> None:
    pulls = ScriptedPulls(FAILED, RUNNING, QUEUED, DONE)
    async with deck_with(fresh_home, pulls) as deck:
        await open_pulls(deck)
        await deck.see("▶ pulling")
        row = next(line for line in deck.text.splitlines() if "▶ pulling" in line)
        assert "38%" in row
        assert "48 MB/s" in row
        assert "2 min" in row
        order = [name for line in deck.text.splitlines()[2:7] for name in line[1:].split()[:1]]
        assert order[:4] == ["Qwen3-14B", "Mistral-Small-24B", "gemma-3-27b", "Phi-4"]
        assert "2 to do   3.5G of 23.3GB   15%   48 MB/s" in deck.text


async def test_the_top_line_says_it_in_every_place(fresh_home: Path) -> None:
    pulls = ScriptedPulls(RUNNING)
    async with deck_with(fresh_home, pulls) as deck:
        await deck.rest()
        await deck.see("3 Pulls ▾1 38%")
        pulls.tell(replace(RUNNING, done_bytes=RUNNING.done_bytes + 10**9), QUEUED)
        await deck.see("3 Pulls ▾2 19%")
        pulls.tell(DONE)
        await deck.until(lambda: "▾" not in deck.text, "no badge")


async def test_keys_steer_the_pull_under_the_cursor(fresh_home: Path) -> None:
    pulls = ScriptedPulls(RUNNING, QUEUED, FAILED)
    async with deck_with(fresh_home, pulls) as deck:
        await open_pulls(deck)
        await deck.see("▶ pulling")
        await deck.press("space")
        await deck.see("Ⅱ paused")
        await deck.press("space")
        await deck.see("▶ pulling")
        await deck.press("down", "p", "down", "r")
        await deck.until(lambda: "✕ failed" not in deck.text, "another try")
        assert pulls.asked == [
            ("pause", RUNNING.id),
            ("resume", RUNNING.id),
            ("first", QUEUED.id),
            ("retry", FAILED.id),
        ]


async def test_cancelling_asks_first(fresh_home: Path) -> None:
    pulls = ScriptedPulls(RUNNING, QUEUED)
    async with deck_with(fresh_home, pulls) as deck:
        await open_pulls(deck)
        await deck.see("▶ pulling")
        await deck.press("x")
        await deck.see("give up what has come?")
        await deck.press("escape")
        assert "give up" not in deck.text
        await deck.press("x", "down")
        await deck.until(lambda: "give up" not in deck.text, "no question about another")
        assert pulls.asked == []
        await deck.press("x", "x")
        await deck.see("– cancelled")
        assert pulls.asked == [("cancel", QUEUED.id)]
        await deck.press("c")
        await deck.until(lambda: "cancelled" not in deck.text, "a clear list")


async def test_a_limit_is_written_below_the_list(fresh_home: Path) -> None:
    pulls = ScriptedPulls(RUNNING)
    async with deck_with(fresh_home, pulls) as deck:
        await open_pulls(deck)
        await deck.see("▶ pulling")
        await deck.press("b")
        await deck.type("fast")
        await deck.press("enter")
        await deck.see("is no size")
        for _ in "fast":
            await deck.press("backspace")
        await deck.type("20MB/s")
        await deck.press("enter")
        await deck.see("limit 20 MB/s")
        await deck.press("b")
        for _ in "20MB":
            await deck.press("backspace")
        await deck.press("enter")
        await deck.until(lambda: "limit" not in deck.text.splitlines()[-4], "no limit")
        assert pulls.asked == [("limit", 20_000_000), ("limit", None)]


async def test_what_has_come_is_in_the_list_of_models(fresh_home: Path) -> None:
    pulls = ScriptedPulls(RUNNING)
    async with deck_with(fresh_home, pulls) as deck:
        await open_pulls(deck)
        await deck.see("▶ pulling")
        dense(fresh_home / "models", "Newcomer", blocks=4, embedding=512)
        pulls.turn(RUNNING.id, PullState.DONE)
        await deck.see("has come")
        await deck.press("1")
        await deck.see("Newcomer")


async def test_what_cannot_be_done_says_why(fresh_home: Path) -> None:
    pulls = ScriptedPulls(RUNNING)
    async with deck_with(fresh_home, pulls) as deck:
        await open_pulls(deck)
        await deck.see("▶ pulling")
        pulls.fails = ModeldeckError("The background process does not answer.", "Try again.")
        await deck.press("space")
        await deck.see("✕ The background process does not answer. Try again.")


async def test_what_fits_is_pulled_from_the_hub(fresh_home: Path) -> None:
    name = FOUND[0].name
    found = variants_of(fresh_home, name, blocks=40, embedding=5120)
    script = Script(variants={name: unread(found)}, read={one.target: one for one in found})
    pulls = ScriptedPulls()
    async with open_deck(
        fresh_home, ScriptedEngine(), services_class=services_with(script, pulls)
    ) as deck:
        await deck.rest()
        await deck.press("2")
        await deck.see(name)
        await deck.press("enter")
        await deck.see("best here")
        await deck.press("home", "space", "p")
        await deck.see("2 downloads queued. 3 shows them.")
        assert pulls.asked == [("add", (f"hf:{name}:IQ2_XXS", f"hf:{name}:Q5_K_M"))]
        await deck.press("3")
        await deck.see("○ queued")


async def test_a_pull_that_moves_costs_few_bytes(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulls = ScriptedPulls(RUNNING, QUEUED)
    with bytes_sent(monkeypatch) as sent:
        async with deck_with(fresh_home, pulls) as deck:
            await open_pulls(deck)
            await deck.see("▶ pulling")
            await deck.pilot.pause(0.6)
            sent.reset()
            await deck.pilot.pause(1.0)
            assert sent.count == 0, "nothing is sent while nothing moves"
            moved = replace(RUNNING, done_bytes=RUNNING.done_bytes + 12_000_000, seconds_left=114.0)
            pulls.tell(moved, QUEUED)
            await deck.pilot.pause(0.6)
            assert 0 < sent.count <= 700


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_pulls_look_as_they_did(
    fresh_home: Path, same_screen: ScreenCheck, size: tuple[int, int]
) -> None:
    pulls = ScriptedPulls()
    async with deck_with(fresh_home, pulls, size) as deck:
        await open_pulls(deck)
        await deck.pilot.pause(0.4)
        same_screen(deck.pilot)
        pulls.tell(RUNNING, QUEUED, WAITING, FAILED, DONE)
        await deck.see("▶ pulling")
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)
        await deck.press("down", "down", "down")
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)
        await deck.press("home", "x")
        await deck.pilot.pause(0.3)
        same_screen(deck.pilot)
