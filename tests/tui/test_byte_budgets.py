"""What a slow line is promised; `make bench` tells how much of it is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import byte_costs


async def test_a_cursor_move_through_ten_thousand_models(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = await byte_costs.cursor_moves(fresh_home, monkeypatch)

    assert len(moves) == 50
    assert max(move.sent_bytes for move in moves) <= 600


async def test_the_bill_follows_when_the_cursor_rests(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert max(await byte_costs.bills(fresh_home, monkeypatch, 10)) <= 2500


async def test_nothing_is_sent_while_nothing_shown_changes(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await byte_costs.at_rest(fresh_home, monkeypatch) == 0


async def test_a_tick_of_the_throughput_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = await byte_costs.ticks(monkeypatch)

    assert min(costs) > 0
    assert max(costs) <= 500
