"""What goes over the line at 120 by 40 cells in true colour, in a list of 10,000 models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import byte_costs

pytestmark = pytest.mark.bench


async def test_few_bytes_are_sent(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch, measured: Callable[..., None]
) -> None:
    def home(name: str) -> Path:
        (fresh_home / name).mkdir()
        return fresh_home / name

    moves = await byte_costs.cursor_moves(home("moves"), monkeypatch)
    sizes = [move.sent_bytes for move in moves]
    measured("a cursor move, the worst of 50", *sizes, unit="bytes", limit=600, worst=True)
    times = [move.milliseconds for move in moves]
    measured("a cursor move", *times, unit="ms of the processor", limit=16)
    scrolling = await byte_costs.scrolling_moves(home("scrolling"), monkeypatch)
    measured("a cursor move that scrolls the list by a row", *scrolling, unit="bytes")
    bills = await byte_costs.bills(home("bills"), monkeypatch, 25)
    measured(
        "the bill of a model that the cursor rests on, the worst of 25",
        *bills,
        unit="bytes",
        limit=2500,
        worst=True,
    )
    ticks = await byte_costs.ticks(monkeypatch)
    measured(
        "a tick of the throughput panel, the worst", *ticks, unit="bytes", limit=500, worst=True
    )
    rest = await byte_costs.at_rest(home("rest"), monkeypatch)
    measured("a second in which no shown value changes", rest, unit="bytes", limit=0)
