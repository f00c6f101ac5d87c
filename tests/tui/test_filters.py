from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import (
    Button,
    DataTable,
    Input,
    Label,
    Log,
    Markdown,
    OptionList,
    RichLog,
    Static,
    TextArea,
)
from textual.widgets.option_list import Option

from modeldeck.engines.text import UNSAFE
from modeldeck.tui.filters import ControlFilter
from modeldeck.tui.widgets.columns import Column
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.row_list import RowList
from modeldeck.tui.widgets.rows import Cell, Row
from tests.support.bytes_sent import bytes_sent

BLACK = Color(0, 0, 0)
HOSTILE = (
    "go\x1b]0;pwned\x07 \x1b]52;c;cHduZWQ=\x1b\\ \x1b[31mred\x1b[2J \x9b31m \x9d0;pwned\x9c"
    " \u202egpj.exe\u202c \u2066x\u2069 \x7f\x00\x08 end"
)
# What Textual itself sends: styles, cursor moves, modes, the mouse pointer's shape.
OURS = re.compile(
    r"\x1b\[[0-9;]*[mH]|\x1b\[[?=<>][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1b\]22;[a-z]+\x07|\n|\r"
)


def filtered(*segments: Segment) -> list[Segment]:
    return ControlFilter().apply(list(segments), BLACK)


def test_printable_lines_are_passed_on_as_they_are() -> None:
    segments = [Segment("Qwen3 14B 量"), Segment(" ● fits", Style(color="green"))]
    assert ControlFilter().apply(segments, BLACK) is segments


@given(st.text())
def test_nothing_unsafe_is_left_and_the_width_stays(text: str) -> None:
    (segment,) = filtered(Segment(text))
    assert not UNSAFE.search(segment.text)
    assert "\n" not in segment.text
    assert "\t" not in segment.text
    assert cell_len(segment.text) == sum(
        cell_len(part) for part in re.split(rf"([\t\n]|{UNSAFE.pattern})", text)
    )


def test_the_style_of_harmless_text_stays() -> None:
    bold = Style(bold=True)
    assert filtered(Segment("a\x1b[31mb", bold)) == [Segment("a[31mb", bold)]


def test_a_link_that_would_end_its_own_escape_is_no_link() -> None:
    evil = Style(bold=True, link="http://x\x1b\\\x1b]0;pwned\x07")
    (segment,) = filtered(Segment("click", evil))
    assert segment.style is not None
    assert segment.style.link is None
    assert segment.style.bold
    good = Style(link="https://huggingface.co/Qwen")
    assert filtered(Segment("click", good)) == [Segment("click", good)]


def test_a_line_is_filtered_once_however_many_filters_are_made() -> None:
    strip = Strip([Segment("a\x1bb")])
    assert strip.apply_filter(ControlFilter(), BLACK) is strip.apply_filter(ControlFilter(), BLACK)


class HostileApp(App[None]):
    """Every kind of widget the deck shows outside text in, and those a plug-in might."""

    CSS = "Screen > * { height: 3; border: none; }"

    def __init__(self, make: Callable[[], Widget]) -> None:
        super().__init__()
        self._make = make

    def get_line_filters(self) -> list[LineFilter]:
        return [*super().get_line_filters(), ControlFilter()]

    def compose(self) -> ComposeResult:
        yield self._make()

    def on_mount(self) -> None:
        for row_list in self.query(RowList):
            row_list.set_rows([Row("1", (Cell(HOSTILE),))])
        for log in self.query(Log):
            log.write_line(HOSTILE)
        for rich_log in self.query(RichLog):
            rich_log.write(Text(HOSTILE))
        toast = HOSTILE.replace("end", "toast")
        self.notify(toast, title=toast, markup=False)


def bordered() -> Widget:
    static = Static("x")
    static.styles.border = ("round", "red")
    static.border_title = Content(HOSTILE)
    return static


def table() -> Widget:
    cells = DataTable[Text]()
    cells.add_column(Text(HOSTILE))
    cells.add_row(Text(HOSTILE))
    return cells


WIDGETS: dict[str, Callable[[], Widget]] = {
    "Static": lambda: Static(HOSTILE, markup=False),
    "Static of Content": lambda: Static(Content(HOSTILE)),
    "Static of Text": lambda: Static(Text(HOSTILE, style=f"link http://x{HOSTILE}")),
    "Label": lambda: Label(HOSTILE, markup=False),
    "border title": bordered,
    "Line": lambda: Line(Content(HOSTILE)),
    "Markdown": lambda: Markdown(f"# {HOSTILE}\n\n{HOSTILE} [a](http://x/{HOSTILE})"),
    "code block": lambda: Markdown(f"```{HOSTILE}\n{HOSTILE}\n```"),
    "OptionList": lambda: OptionList(Option(Content(HOSTILE)), markup=False),
    "Input": lambda: Input(HOSTILE, placeholder=HOSTILE),
    "TextArea": lambda: TextArea(HOSTILE),
    "RowList": lambda: RowList([Column("name", HOSTILE, 110)]),
    "Button": lambda: Button(Content(HOSTILE)),
    "DataTable": table,
    "Log": lambda: Log(),
    "RichLog": lambda: RichLog(),
}


@pytest.mark.parametrize("name", WIDGETS)
async def test_no_widget_lets_a_control_character_of_the_data_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bytes_sent(monkeypatch) as sent:
        app = HostileApp(WIDGETS[name])
        async with app.run_test(size=(120, 20), notifications=True) as pilot:
            for _ in range(4):
                await pilot.pause()
            painted = sent.text
        assert "end" in painted
        assert "toast" in painted
        links = re.compile(r"\x1b\]8;id=[0-9a-f-]*;[!-~]*\x1b\\|\x1b\]8;;\x1b\\")
        data = OURS.sub("", links.sub("", painted))
        assert not UNSAFE.search(data), ascii(UNSAFE.findall(data)[:5])


async def test_without_the_fence_they_would_get_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unfenced(HostileApp):
        def get_line_filters(self) -> list[LineFilter]:
            return [f for f in super().get_line_filters() if not isinstance(f, ControlFilter)]

    with bytes_sent(monkeypatch) as sent:
        async with Unfenced(WIDGETS["Static"]).run_test(size=(120, 20)) as pilot:
            await pilot.pause()
        assert "\x1b]0;pwned" in sent.text
