"""A list to pick from, inside the screen: type to filter, enter to pick, esc to close."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events, getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input

from modeldeck.engines.text import clean_line
from modeldeck.tui.fuzzy import best_matches
from modeldeck.tui.widgets.lines_view import LinesView

ROWS = 10


@dataclass(frozen=True, slots=True)
class PickerRow:
    """One thing to pick.

    Attributes:
        key: what ``Picked`` says.
        label: its name; the filter looks here.
        hint: a few words at the right edge.
    """

    key: str
    label: str
    hint: str = ""


def window(count: int, cursor: int, rows: int) -> int:
    """Index of the first row shown so that the cursor is among ``rows`` rows."""
    return max(0, min(cursor - rows // 2, count - rows))


class PickerList(LinesView):
    """The rows that match, with the cursor on one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"picker--hint"}
    DEFAULT_CSS = """
    PickerList {
        & > .picker--hint { color: $text-muted; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[PickerRow] = []
        self._cursor = 0

    @property
    def picked(self) -> PickerRow | None:
        """The row under the cursor."""
        return self._rows[self._cursor] if self._rows else None

    def show(self, rows: Sequence[PickerRow], cursor: int = 0) -> None:
        """Put ``rows`` in place, the cursor on one of them."""
        self._rows = list(rows)
        self._cursor = max(0, min(cursor, len(self._rows) - 1))
        self.lines_changed()

    def move(self, step: int) -> None:
        """Move the cursor; it stops at both ends."""
        self.show(self._rows, self._cursor + step)

    def row_at(self, y: int) -> PickerRow | None:
        """The row drawn on line ``y``."""
        index = window(len(self._rows), self._cursor, ROWS) + y
        return self._rows[index] if index < len(self._rows) else None

    def lay_out(self, width: int) -> Sequence[Content]:
        """At most ``ROWS`` lines around the cursor."""
        if not self._rows:
            return [Content.styled("  nothing matches: backspace", ".picker--hint")]
        first = window(len(self._rows), self._cursor, ROWS)
        shown = range(first, min(first + ROWS, len(self._rows)))
        return [self._line(self._rows[index], index == self._cursor, width) for index in shown]

    @staticmethod
    def _line(row: PickerRow, here: bool, width: int) -> Content:
        hint = clean_line(row.hint)
        room = max(8, width - cell_len(hint) - 5)
        label = Content(clean_line(row.label)).truncate(room, ellipsis=True)
        line = Content("▌ " if here else "  ") + label.pad_right(room - label.cell_length)
        line += Content.styled(f"  {hint} ", "" if here else ".picker--hint")
        return line.stylize("bold reverse") if here else line


class ModelPicker(Vertical):
    """An inline switcher: an input and the rows that match it. It covers nothing."""

    DEFAULT_CSS = """
    ModelPicker {
        height: auto;
        max-height: 13;
        border: round $primary;
        border-title-color: $primary;
        padding: 0 1;
        background: $surface;
    }
    ModelPicker Input, ModelPicker Input:focus {
        border: none; height: 1; padding: 0; background: transparent;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,ctrl+k", "move(-1)", "the row above", show=False),
        Binding("down,ctrl+j", "move(1)", "the row below", show=False),
        Binding("pageup", f"move({-ROWS})", "a page up", show=False),
        Binding("pagedown", f"move({ROWS})", "a page down", show=False),
        Binding("escape", "dismiss", "close", show=False),
    ]

    @dataclass
    class Picked(Message):
        """The user picked a row."""

        key: str

    class Dismissed(Message):
        """The user wants no row."""

    field = getters.query_one(Input)
    list = getters.query_one(PickerList)

    def __init__(
        self,
        rows: Sequence[PickerRow],
        *,
        title: str = "switch model",
        current: str = "",
        understood: Callable[[str], PickerRow | None] = lambda _: None,
        id: str | None = None,  # noqa: A002
    ) -> None:
        """Make a picker.

        Args:
            rows: what there is to pick, in order.
            title: of its frame.
            current: key of the row the cursor starts on.
            understood: the row that was meant by what matches none; None when nothing was.
            id: of the widget.
        """
        super().__init__(id=id)
        self._rows = rows
        self._understood = understood
        self._start = next((i for i, row in enumerate(rows) if row.key == current), 0)
        self.border_title = Content(title)
        self.border_subtitle = Content("enter pick   esc close")

    def compose(self) -> ComposeResult:
        """The filter above the rows."""
        yield Input(placeholder="type to filter", select_on_focus=False)
        yield PickerList()

    def on_mount(self) -> None:
        """Show everything, ready to type."""
        self.field.cursor_blink = False
        self.list.show(self._rows, self._start)
        self.field.focus()

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        rows = best_matches(event.value, self._rows, lambda row: row.label)
        if not rows and (meant := self._understood(event.value)) is not None:
            rows = [meant]
        self.list.show(rows, 0 if event.value.strip() else self._start)

    @on(Input.Submitted)
    def _pick(self, event: Input.Submitted) -> None:
        event.stop()
        if (row := self.list.picked) is not None:
            self.post_message(self.Picked(row.key))

    def on_click(self, event: events.Click) -> None:
        """A click on a row picks it."""
        if event.widget is self.list and (row := self.list.row_at(event.y)) is not None:
            event.stop()
            self.post_message(self.Picked(row.key))

    def action_move(self, step: int) -> None:
        """Move the cursor by ``step`` rows."""
        self.list.move(step)

    def action_dismiss(self) -> None:
        """Close without picking."""
        self.post_message(self.Dismissed())
