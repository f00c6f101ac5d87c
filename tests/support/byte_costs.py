"""What the deck sends at 120 by 40 cells in true colour, and what that costs."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from modeldeck.engines.scripted import ScriptedEngine
from modeldeck.tui import jobs
from modeldeck.tui.screens import models
from modeldeck.tui.widgets.row_list import RowList
from tests.support.bytes_sent import BytesSent, bytes_sent
from tests.support.chat_bench import ChatBench, panel_data
from tests.support.decks import Deck, open_deck
from tests.support.many_models import MODELS, ManyModels

# Within one view, in both directions, over every kind of row.
_MOVES = ("down",) * 25 + ("up",) * 15 + ("down",) * 10
_NEVER_S = 3600.0


class Move(NamedTuple):
    """One cursor move: what it sent, and the processor time it took."""

    sent_bytes: int
    milliseconds: float


@asynccontextmanager
async def _ten_thousand(
    home: Path, patch: pytest.MonkeyPatch, *, rest_s: float, sample_s: float = _NEVER_S
) -> AsyncGenerator[tuple[Deck, BytesSent]]:
    patch.setattr(models, "REST_S", rest_s)
    patch.setattr(jobs, "IDLE_SAMPLE_S", sample_s)
    with bytes_sent(patch) as sent:
        async with open_deck(home, ScriptedEngine(), services_class=ManyModels) as deck:
            await deck.until(lambda: deck.app.state.engines_found, "the engines")
            await deck.until(lambda: len(deck.app.state.verdicts) > MODELS / 2, "the verdicts")
            await deck.until(lambda: all(e.probe for e in deck.app.state.engines), "the probes")
            await _quiet(deck, sent)
            yield deck, sent


async def _quiet(deck: Deck, sent: BytesSent) -> None:
    """Wait until nothing is drawn any more, so that what is counted is the key's doing."""
    before = -1
    while sent.count != before:
        before = sent.count
        await deck.pilot.pause(0.3)


async def cursor_moves(home: Path, patch: pytest.MonkeyPatch) -> list[Move]:
    """Fifty moves that do not scroll."""
    moves: list[Move] = []
    async with _ten_thousand(home, patch, rest_s=_NEVER_S) as (deck, sent):
        rows = deck.app.screen.query_one(RowList)
        for key in _MOVES:
            sent.reset()
            begun = time.process_time()
            await deck.pilot.press(key)
            await deck.until(lambda: sent.count > 0, "the move")
            moves.append(Move(sent.count, (time.process_time() - begun) * 1000))
        assert rows.top_index == 0, "a move scrolled"
    return moves


async def scrolling_moves(home: Path, patch: pytest.MonkeyPatch) -> list[int]:
    """Moves at the upper edge, each of which scrolls the list by a row, in bytes."""
    costs: list[int] = []
    async with _ten_thousand(home, patch, rest_s=_NEVER_S) as (deck, sent):
        await deck.press("pagedown")
        for _ in range(10):
            sent.reset()
            await deck.pilot.press("up")
            await deck.until(lambda: sent.count > 0, "the move")
            costs.append(sent.count)
    return costs


async def bills(home: Path, patch: pytest.MonkeyPatch, rows: int) -> list[int]:
    """What the pane sends when the cursor has come to rest on another model, in bytes."""
    costs: list[int] = []
    async with _ten_thousand(home, patch, rest_s=_NEVER_S) as (deck, sent):
        screen = deck.app.screen
        assert isinstance(screen, models.ModelsScreen)
        for _ in range(rows):
            sent.reset()
            await deck.pilot.press("down")
            await deck.until(lambda: sent.count > 0, "the move")
            sent.reset()
            screen.follow_cursor()
            await deck.until(lambda: sent.count > 0, "the bill")
            costs.append(sent.count)
    return costs


async def at_rest(home: Path, patch: pytest.MonkeyPatch) -> int:
    """Bytes sent while the machine is looked at again and again and nothing shown changes."""
    async with _ten_thousand(home, patch, rest_s=0.01, sample_s=0.02) as (deck, sent):
        sent.reset()
        await deck.pilot.pause(1.0)
        assert deck.app.state.hardware is not None
        return sent.count


async def ticks(patch: pytest.MonkeyPatch) -> list[int]:
    """What four seconds of the throughput panel send, tick for tick, in bytes."""
    times = iter(range(1000))
    costs: list[int] = []
    with bytes_sent(patch) as sent:
        app = ChatBench(clock=lambda: float(next(times)))
        async with app.run_test(size=(120, 40)) as pilot:
            app.show(panel_data(100, 3))
            await pilot.pause()
            for tick in range(1, 17):
                sent.reset()
                app.show(panel_data(100 + 9 * tick, 3 + tick / 4))
                await pilot.pause()
                costs.append(sent.count)
    return costs
