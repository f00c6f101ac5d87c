from __future__ import annotations

import re
from dataclasses import replace

import pytest

from modeldeck.engines.meter import IDLE
from modeldeck.tui.context_use import ContextUse
from modeldeck.tui.widgets.throughput_lines import PanelData, panel_lines
from tests.support.bytes_sent import bytes_sent
from tests.support.chat_bench import ChatBench, panel_data

TICK_BUDGET_BYTES = 500


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_a_tick_repaints_only_what_changed(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    with bytes_sent(monkeypatch) as sent:
        app = ChatBench(clock=Clock())
        async with app.run_test(size=size) as pilot:
            app.show(panel_data(100, 3))
            await pilot.pause()
            costs: list[int] = []
            for tick in range(1, 13):
                sent.reset()
                app.show(panel_data(100 + 9 * tick, 3 + tick / 4))
                await pilot.pause()
                costs.append(sent.count)
    assert min(costs) > 0
    assert sorted(costs)[len(costs) // 2] <= TICK_BUDGET_BYTES
    assert max(costs) <= 2 * TICK_BUDGET_BYTES


async def test_nothing_new_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with bytes_sent(monkeypatch) as sent:
        app = ChatBench(clock=Clock())
        async with app.run_test(size=(120, 40)) as pilot:
            data = panel_data(100, 3)
            app.show(data)
            await pilot.pause()
            sent.reset()
            app.show(panel_data(100, 3))
            # Values that differ below what is shown.
            reading = replace(data.reading, elapsed_ns=data.reading.elapsed_ns + 1)
            app.show(replace(data, reading=reading, engine_memory_bytes=2**30 + 1))
            await pilot.pause()
            assert sent.count == 0


async def test_a_changed_number_is_the_only_thing_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with bytes_sent(monkeypatch) as sent:
        app = ChatBench(clock=Clock())
        async with app.run_test(size=(120, 40)) as pilot:
            data = panel_data(100, 3)
            app.show(data)
            await pilot.pause()
            sent.reset()
            app.show(replace(data, context_use=ContextUse(519, exact=True)))
            await pilot.pause()
            text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent.text)
    assert text.strip(" \n\r░") == "519"


async def test_between_ticks_nothing_is_drawn_but_a_new_phase() -> None:
    app = ChatBench(clock=lambda: 0.0)
    async with app.run_test(size=(120, 40)) as pilot:
        app.show(panel_data(1, 1))
        await pilot.pause()
        app.show(panel_data(2, 1))
        await pilot.pause()
        assert "tokens out     1" in shown(app)
        app.show(PanelData(replace(IDLE, phase="prefill", phase_fraction=0.5)))
        await pilot.pause()
        assert "50 %" in shown(app)


async def test_the_last_data_of_a_burst_is_drawn_in_the_end() -> None:
    app = ChatBench()
    async with app.run_test(size=(120, 40)) as pilot:
        for tokens in range(50):
            app.show(panel_data(tokens, 1))
        while "tokens out    49" not in shown(app):
            await pilot.pause(0.05)


async def test_the_panel_shows_its_lines_whole() -> None:
    app = ChatBench()
    data = panel_data(7, 2)
    async with app.run_test(size=(120, 40)) as pilot:
        app.show(data)
        await pilot.pause()
        for line in panel_lines(data, 32):
            assert line.plain.rstrip() in shown(app)


async def test_a_panel_that_was_hidden_shows_the_newest_data_when_there_is_room() -> None:
    app = ChatBench(clock=Clock())
    async with app.run_test(size=(80, 24)) as pilot:
        app.show(panel_data(7, 2))
        await pilot.pause()
        assert "in 412 out 7" in shown(app)
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert "tokens out     7" in shown(app)


def shown(app: ChatBench) -> str:
    strips = app.screen._compositor.render_strips()  # pyright: ignore[reportPrivateUsage]
    return "\n".join(strip.text for strip in strips)
