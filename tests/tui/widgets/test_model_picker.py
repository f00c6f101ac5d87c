from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modeldeck.tui.widgets.model_picker import (
    ROWS,
    ModelPicker,
    PickerList,
    window,
)
from tests.support.chat_bench import ChatBench


def shown(app: ChatBench) -> list[str]:
    rows = app.query_one(PickerList)
    return [line.plain.rstrip() for line in rows.lay_out(60)]


async def test_open_type_pick() -> None:
    app = ChatBench()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+o")
        await pilot.pause()
        assert len(shown(app)) == ROWS
        assert any(line.startswith("▌ Qwen3 14B Q4_K_M [/]") for line in shown(app))
        await pilot.press(*"7b")
        await pilot.pause()
        assert all("7B" in line for line in shown(app))
        await pilot.press("down", "enter")
        await pilot.pause()
        picked = [m.key for m in app.seen if isinstance(m, ModelPicker.Picked)]
        assert picked in (["7"], ["17"], ["27"])
        assert not app.query(ModelPicker)


async def test_escape_closes_and_nothing_is_picked() -> None:
    app = ChatBench()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+o")
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()
        assert [type(m) for m in app.seen] == [ModelPicker.Dismissed]
        assert app.prompt.has_focus


async def test_nothing_matches_says_what_to_do_and_enter_does_nothing() -> None:
    app = ChatBench()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+o")
        await pilot.pause()
        await pilot.press(*"zzz", "enter")
        await pilot.pause()
        assert shown(app) == ["  nothing matches: backspace"]
        assert app.seen == []


async def test_the_cursor_stops_at_both_ends_and_pages() -> None:
    app = ChatBench()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+o")
        await pilot.pause()
        rows = app.query_one(PickerList)
        for keys, key in ((["pageup"] * 3, "1"), (["up"], "1"), (["pagedown"] * 4, "29")):
            await pilot.press(*keys)
            assert rows.picked is not None
            assert rows.picked.key == key


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 20))
def test_the_cursor_is_always_among_the_rows_shown(count: int, cursor: int, rows: int) -> None:
    cursor = min(cursor, max(0, count - 1))
    first = window(count, cursor, rows)
    assert 0 <= first <= cursor
    assert cursor < first + rows
    assert count <= rows or first + rows <= count
