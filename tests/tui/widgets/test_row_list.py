from __future__ import annotations

from collections.abc import Sequence

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown
from textual.pilot import Pilot

from modeldeck.themes import load_themes
from modeldeck.tui.theme import textual_themes
from modeldeck.tui.widgets.columns import Column
from modeldeck.tui.widgets.row_list import RowList
from modeldeck.tui.widgets.rows import Cell, Row
from tests.support.bytes_sent import bytes_sent
from tests.support.model_bench import ModelBench, bench_entries
from tests.support.screens import screen_text

COLUMNS = (
    Column("name", "NAME", 10, flexible=True),
    Column("verdict", "VERDICT", 10),
    Column("size", "SIZE", 6, align="right", priority=1),
)


def rows(*numbers: int) -> tuple[Row, ...]:
    cells = [(Cell(f"model {n}"), Cell("● fits", "good"), Cell(f"{n}G")) for n in numbers]
    return tuple(Row(f"/m/{n}", c) for n, c in zip(numbers, cells, strict=True))


class ListApp(App[None]):
    def __init__(self, first: Sequence[Row] = (), theme: str = "deck-dark") -> None:
        super().__init__()
        self._first = first
        for known in textual_themes(load_themes()[0]):
            self.register_theme(known)
        self.theme = theme
        self.seen: list[tuple[str, str | None]] = []

    @property
    def rows(self) -> RowList:
        return self.query_one(RowList)

    def compose(self) -> ComposeResult:
        yield RowList(COLUMNS)

    def on_mount(self) -> None:
        self.rows.focus()
        self.rows.set_rows(self._first)

    def on_row_list_highlighted(self, event: RowList.Highlighted) -> None:
        self.seen.append(("on", event.key))

    def on_row_list_selected(self, event: RowList.Selected) -> None:
        self.seen.append(("selected", event.key))

    def on_row_list_heading_clicked(self, event: RowList.HeadingClicked) -> None:
        self.seen.append(("heading", event.column))

    def text(self) -> list[str]:
        return screen_text(self).splitlines()


def key_of(app: ListApp) -> str | None:
    return app.rows.cursor_key


async def test_the_arrows_walk_and_stop_at_both_ends() -> None:
    app = ListApp(rows(1, 2, 3))
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("up")
        assert app.rows.cursor_key == "/m/1"
        await pilot.press("down", "down", "down", "down")
        assert app.rows.cursor_key == "/m/3"
        await pilot.pause()
        assert app.text()[0].split() == ["NAME", "VERDICT", "SIZE"]
        assert app.text()[3].startswith("▌model 3")
        assert app.text()[1].startswith(" model 1")


async def test_pages_home_and_end() -> None:
    app = ListApp(rows(*range(100)))
    async with app.run_test(size=(40, 11)) as pilot:
        await pilot.press("pagedown")
        assert (app.rows.top_index, app.rows.cursor_index) == (10, 10)
        await pilot.press("end")
        assert (app.rows.top_index, app.rows.cursor_index) == (90, 99)
        await pilot.press("pageup", "home")
        assert (app.rows.top_index, app.rows.cursor_index) == (0, 0)


async def test_the_row_under_the_cursor_is_told_once() -> None:
    app = ListApp(rows(1, 2, 3))
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("down")
        app.rows.set_rows(rows(1, 2, 3, 4))
        await pilot.pause()
        assert app.seen == [("on", "/m/1"), ("on", "/m/2")]
        app.rows.set_rows(())
        await pilot.pause()
        assert app.seen[-1] == ("on", None)


async def test_the_cursor_stays_on_its_row_and_the_row_on_its_line() -> None:
    app = ListApp(rows(*range(50, 100)))
    async with app.run_test(size=(40, 11)) as pilot:
        await pilot.press("pagedown", "down", "down")
        assert app.rows.cursor_key == "/m/62"
        line = next(y for y, text in enumerate(app.text()) if "▌" in text)
        app.rows.set_rows(rows(*range(100)))
        await pilot.pause()
        assert app.rows.cursor_key == "/m/62"
        assert "▌model 62" in app.text()[line]


async def test_a_row_that_went_leaves_the_cursor_where_it_was() -> None:
    app = ListApp(rows(1, 2, 3))
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("down")
        app.rows.set_rows(rows(1, 3))
        assert app.rows.cursor_key == "/m/3"
        app.rows.set_rows(rows(1))
        assert key_of(app) == "/m/1"
        app.rows.set_rows(())
        assert key_of(app) is None
        await pilot.press("down", "end", "pagedown")
        app.rows.action_select()
        await pilot.pause()
        assert ("selected", None) not in app.seen


async def test_go_to_a_row_by_its_key() -> None:
    app = ListApp(rows(*range(100)))
    async with app.run_test(size=(40, 11)) as pilot:
        assert app.rows.move_to("/m/77")
        await pilot.pause()
        assert any("▌model 77" in line for line in app.text())
        assert not app.rows.move_to("/m/gone")
        assert app.rows.cursor_key == "/m/77"


async def test_clicks_walk_select_and_ask_for_an_order() -> None:
    app = ListApp(rows(1, 2, 3))
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.click(RowList, offset=(5, 3))
        assert app.rows.cursor_key == "/m/3"
        await pilot.click(RowList, offset=(5, 3))
        await pilot.click(RowList, offset=(36, 0))
        await pilot.click(RowList, offset=(5, 9))
        await pilot.pause()
        assert app.seen == [
            ("on", "/m/1"),
            ("on", "/m/3"),
            ("selected", "/m/3"),
            ("heading", "size"),
        ]


async def test_the_wheel_moves_the_view_and_leaves_the_cursor() -> None:
    app = ListApp(rows(*range(100)))
    async with app.run_test(size=(40, 11)) as pilot:
        await pilot._post_mouse_events(  # pyright: ignore[reportPrivateUsage]
            [MouseScrollDown], RowList, (5, 5), button=0
        )
        await pilot.pause()
        assert (app.rows.top_index, app.rows.cursor_index) == (3, 0)
        await pilot.press("down")
        assert (app.rows.top_index, app.rows.cursor_index) == (1, 1)


async def test_the_heading_says_what_rows_are_sorted_by() -> None:
    app = ListApp(rows(1))
    async with app.run_test(size=(40, 5)) as pilot:
        app.rows.show_sorting("size", descending=True)
        await pilot.pause()
        assert app.text()[0].endswith("SIZE▾")
        app.rows.show_sorting("name")
        await pilot.pause()
        assert "NAME▴" in app.text()[0]
        assert "▾" not in app.text()[0]


async def test_a_narrow_list_keeps_what_matters() -> None:
    app = ListApp(rows(1))
    async with app.run_test(size=(28, 5)) as pilot:
        assert app.text()[0].split() == ["NAME", "VERDICT"]
        await pilot.resize_terminal(60, 5)
        await pilot.pause()
        assert app.text()[0].split() == ["NAME", "VERDICT", "SIZE"]


async def test_a_tiny_terminal_does_no_harm() -> None:
    app = ListApp(rows(1, 2, 3))
    async with app.run_test(size=(1, 1)) as pilot:
        await pilot.press("down", "end")
        await pilot.resize_terminal(3, 2)
        await pilot.pause()
        assert app.rows.cursor_key == "/m/3"


async def test_names_of_any_width_leave_the_columns_in_line() -> None:
    names = [
        "plain",
        "通义千问三十亿参数模型",
        "e\u0301te\u0301 한국어",
        "👩\u200d👩\u200d👧 ❤\ufe0f",
        "[red]x[/]",
    ]
    cells = [(Cell(name), Cell("● fits"), Cell("1G")) for name in names]
    app = ListApp([Row(str(n), c) for n, c in enumerate(cells)])
    async with app.run_test(size=(44, 8)) as pilot:
        await pilot.pause()
        lines = app.text()[1:6]
        assert {cell_len(line[: line.index("●")]) for line in lines} == {25}
        assert {cell_len(line) for line in lines} == {43}
        assert lines[4].startswith(" [red]x[/]")


async def test_another_theme_paints_every_row_anew() -> None:
    app = ListApp(rows(1, 2))
    async with app.run_test(size=(40, 5)) as pilot:
        await pilot.pause()

        def colors() -> set[str]:
            return {str(s.style.color) for s in app.rows.render_line(2) if s.style}

        before = colors()
        app.theme = "deck-light"
        await pilot.pause()
        assert colors() != before


@pytest.mark.parametrize("theme", [data.name for data in load_themes()[0]])
async def test_the_cursor_is_seen_without_colour(theme: str) -> None:
    app = ListApp(rows(1, 2), theme)
    async with app.run_test(size=(40, 5)) as pilot:
        await pilot.press("down")
        await pilot.pause()
        here, other = list(app.rows.render_line(2)), list(app.rows.render_line(1))
        assert here[0].text.startswith("▌")
        assert all(s.style is not None and s.style.bold for s in here)
        assert not any(s.style is not None and s.style.bold for s in other)
        app.set_focus(None)
        await pilot.pause()
        assert next(iter(app.rows.render_line(2))).text.startswith("▌")


# What it costs on a slow line.


async def settled(pilot: Pilot[None]) -> None:
    for _ in range(3):
        await pilot.pause()


@pytest.mark.parametrize("theme", ["deck-dark", "deck-light", "deck-contrast", "deck-ansi"])
async def test_a_step_through_ten_thousand_rows_costs_few_bytes(
    monkeypatch: pytest.MonkeyPatch, theme: str
) -> None:
    with bytes_sent(monkeypatch) as sent:
        app = ListApp(rows(*range(10_000)), theme)
        async with app.run_test(size=(120, 40)) as pilot:
            await settled(pilot)
            for _ in range(5):
                sent.reset()
                await pilot.press("down")
                await settled(pilot)
                assert 0 < sent.count <= 600


async def test_a_step_through_models_costs_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    with bytes_sent(monkeypatch) as sent:
        app = ModelBench(bench_entries(10_000))
        async with app.run_test(size=(120, 40)) as pilot:
            await settled(pilot)
            app.detail.display = False
            app.rows.styles.width = 80
            await settled(pilot)
            for _ in range(8):
                sent.reset()
                await pilot.press("down")
                await settled(pilot)
                assert 0 < sent.count <= 600


async def test_the_same_rows_again_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with bytes_sent(monkeypatch) as sent:
        app = ListApp(rows(*range(10_000)))
        async with app.run_test(size=(120, 40)) as pilot:
            await settled(pilot)
            sent.reset()
            app.rows.set_rows(rows(*range(10_000)))
            await settled(pilot)
            assert sent.count == 0
            # Rows out of view are nobody's concern.
            app.rows.set_rows((*rows(*range(9_990)), *rows(*range(20_000, 20_010))))
            await settled(pilot)
            assert sent.count == 0


async def test_one_cell_that_changes_costs_that_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    with bytes_sent(monkeypatch) as sent:
        before = rows(*range(10_000))
        app = ListApp(before)
        async with app.run_test(size=(120, 40)) as pilot:
            await settled(pilot)
            sent.reset()
            name, _, size = before[7].cells
            changed = Row("/m/7", (name, Cell("✕ no", "bad"), size))
            app.rows.set_rows((*before[:7], changed, *before[8:]))
            await settled(pilot)
            assert "✕ no" in app.text()[8]
            # Textual draws a line from its start, but no further than what changed.
            assert 0 < sent.count <= 220


async def test_the_cursor_stays_on_its_row_of_ten_thousand_when_they_are_sorted() -> None:
    first, second = rows(*range(10_000)), rows(*range(9_999, -1, -1))
    app = ListApp(first)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("end")
        app.rows.set_rows(second)
        app.rows.render_lines(app.rows.size.region)
        assert app.rows.cursor_key == "/m/9999"
