"""A list made for ten thousand rows: drawn line by line, repainted only where it changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar, Literal

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from modeldeck.engines.text import clean_line

Tone = Literal["", "good", "part", "cpu", "bad", "muted", "accent"]
_MARK = "▌"
_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        key: stable name.
        title: its heading.
        width: in cells.
        right: aligned to the right.
        flexible: takes what width is left; one column at most.
        priority: columns of a higher number go first when the list is narrow; 0 always stays.
    """

    key: str
    title: str
    width: int
    right: bool = False
    flexible: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's text, and the tone it is written in."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its identity, and as many cells as there are columns."""

    key: str
    cells: tuple[Cell, ...]


def fitted(text: str, width: int, right: bool) -> str:
    """``text`` cut or filled to exactly ``width`` cells; a cut is marked with ``…``."""
    if not text.isprintable():
        text = clean_line(text)
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    pad = " " * (width - length)
    return pad + text if right else text + pad


def column_widths(columns: Sequence[Column], width: int) -> tuple[tuple[int, int], ...]:
    """The columns that fit into ``width`` cells, as (index, width); the flexible takes the rest.

    Pure. Columns are dropped by falling priority until the others fit.
    """
    kept = list(range(len(columns)))

    def needed() -> int:
        return sum(columns[i].width + _GAP for i in kept) - _GAP

    for index in sorted(kept, key=lambda i: -columns[i].priority):
        if needed() <= width or columns[index].priority == 0:
            break
        kept.remove(index)
    spare = max(0, width - needed())
    return tuple((i, columns[i].width + (spare if columns[i].flexible else 0)) for i in kept)


class RowList(ScrollView, can_focus=True):
    """A heading and rows of which one is under the cursor.

    The cursor is seen without colour (a bar before the row, reversed while the list has the
    focus). ``Highlighted`` says that the cursor came to another row, ``Selected`` that the row
    under it was clicked.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row-list--header",
        "row-list--cursor",
        "row-list--good",
        "row-list--part",
        "row-list--cpu",
        "row-list--bad",
        "row-list--muted",
        "row-list--accent",
    }
    DEFAULT_CSS = """
    RowList {
        height: 1fr;
        width: 1fr;
        scrollbar-size-vertical: 1;
        overflow-x: hidden;
        & > .row-list--header { color: $text-muted; }
        & > .row-list--cursor { background: $surface-lighten-1; text-style: bold; }
        & > .row-list--good { color: $text-success; }
        & > .row-list--part { color: $text-warning; }
        & > .row-list--cpu { color: $text-accent; }
        & > .row-list--bad { color: $text-error; }
        & > .row-list--muted { color: $text-muted; }
        & > .row-list--accent { color: $text-primary; }
        &:ansi > .row-list--header, &:ansi > .row-list--muted { text-style: dim; }
        &:ansi > .row-list--good { color: ansi_green; }
        &:ansi > .row-list--part { color: ansi_yellow; }
        &:ansi > .row-list--cpu { color: ansi_cyan; }
        &:ansi > .row-list--bad { color: ansi_red; }
        &:focus > .row-list--cursor { text-style: bold reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "the row above", show=False),
        Binding("down", "move(1)", "the row below", show=False),
        Binding("pageup", "page(-1)", "a page up", show=False),
        Binding("pagedown", "page(1)", "a page down", show=False),
        Binding("home", "edge(-1)", "the first row", show=False),
        Binding("end", "edge(1)", "the last row", show=False),
    ]

    cursor: reactive[int] = reactive(0, repaint=False, init=False)

    @dataclass
    class Highlighted(Message):
        """The cursor came to another row; ``key`` is None when there are no rows."""

        row_list: RowList
        key: str | None

        @property
        def control(self) -> RowList:
            """The list, for ``@on``."""
            return self.row_list

        def can_replace(self, message: Message) -> bool:
            """Only where the cursor came to rest counts."""
            return isinstance(message, RowList.Highlighted)

    @dataclass
    class Selected(Message):
        """The row under the cursor was clicked."""

        row_list: RowList
        key: str

        @property
        def control(self) -> RowList:
            """The list, for ``@on``."""
            return self.row_list

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._rows: tuple[Row, ...] = ()
        self._index: dict[str, int] = {}
        self._widths: tuple[tuple[int, int], ...] = ()
        self._width = -1
        self._sorted_by: tuple[str, bool] | None = None
        self._strips: LRUCache[tuple[object, ...], Strip] = LRUCache(512)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows shown."""
        return self._rows

    @property
    def cursor_key(self) -> str | None:
        """Key of the row under the cursor, or None when there are no rows."""
        return self._rows[self.cursor].key if self.cursor < len(self._rows) else None

    def set_rows(self, rows: tuple[Row, ...]) -> None:
        """Show ``rows``; the cursor stays on its row when that is still there.

        Repaints only the lines that differ.
        """
        if rows == self._rows:
            return
        before, key = self._rows, self.cursor_key
        self._rows = rows
        self._index = {row.key: index for index, row in enumerate(rows)}
        at = self._index.get(key or "", min(self.cursor, max(0, len(rows) - 1)))
        self.virtual_size = Size(self._body_width, len(rows))
        self.set_reactive(RowList.cursor, at)
        top = self.scroll_offset.y
        self._follow_cursor()
        if self.scroll_offset.y == top:
            self._repaint(self._changed(before, rows, top))
        if self.cursor_key != key:
            self.post_message(self.Highlighted(self, self.cursor_key))

    def _changed(self, before: Sequence[Row], after: Sequence[Row], top: int) -> Iterator[int]:
        last = top + max(0, self.size.height - 1)
        pairs = zip_longest(before[top:last], after[top:last])
        return (top + i for i, (old, new) in enumerate(pairs) if old != new)

    def move_to(self, key: str) -> None:
        """Put the cursor on a row by its key; an unknown key changes nothing."""
        if key in self._index:
            self.cursor = self._index[key]

    def show_sorting(self, column: str, descending: bool) -> None:
        """Mark the column that rows are sorted by."""
        self._sorted_by = (column, descending)
        self._repaint_header()

    @property
    def _body_width(self) -> int:
        return max(1, self.size.width - self.styles.scrollbar_size_vertical)

    def validate_cursor(self, value: int) -> int:
        """Keep the cursor on a row."""
        return max(0, min(value, len(self._rows) - 1))

    def watch_cursor(self, before: int, after: int) -> None:
        """Two lines change when the cursor moves; more only when the list scrolls."""
        if before == after:
            return
        top = self.scroll_offset.y
        self._follow_cursor()
        if self.scroll_offset.y == top:
            self._repaint((before, after))
        self.post_message(self.Highlighted(self, self.cursor_key))

    def _follow_cursor(self) -> None:
        page = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if self.cursor < top:
            target = self.cursor
        elif self.cursor >= top + page:
            target = self.cursor - page + 1
        else:
            target = min(top, max(0, len(self._rows) - page))
        if target != top:
            self.scroll_to(y=target, animate=False, immediate=True)

    def _repaint(self, rows: Iterator[int] | Sequence[int]) -> None:
        top = self.scroll_offset.y
        regions = [
            Region(0, row - top + 1, self._body_width, 1)
            for row in rows
            if top <= row < top + self.size.height - 1
        ]
        if regions:
            self.refresh(*regions)

    def _repaint_header(self) -> None:
        self.refresh(Region(0, 0, self._body_width, 1))

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.cursor += step

    def action_page(self, pages: int) -> None:
        """Move the cursor by what is seen."""
        self.cursor += pages * max(1, self.size.height - 2)

    def action_edge(self, direction: int) -> None:
        """Move the cursor to the first or the last row."""
        self.cursor = 0 if direction < 0 else len(self._rows) - 1

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; on the row under the cursor it selects."""
        row = event.y - 1 + self.scroll_offset.y
        if event.y < 1 or row >= len(self._rows):
            return
        if row == self.cursor:
            self.post_message(self.Selected(self, self._rows[row].key))
        self.cursor = row

    def on_resize(self) -> None:
        """Another width is another set of columns."""
        self.virtual_size = Size(self._body_width, len(self._rows))
        self._strips.clear()
        self._follow_cursor()

    def notify_style_update(self) -> None:
        """Other colours are other strips."""
        self._strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """The heading on line 0, rows below it."""
        width = self.size.width
        if width != self._width:
            self._width = width
            self._widths = column_widths(self._columns, width - 3)
        if y == 0:
            return self._header(width)
        index = y - 1 + self.scroll_offset.y
        if index >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        here = index == self.cursor
        row = self._rows[index]
        key = (row, here, here and self.has_focus, width)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._row(row, here, width)
        return strip

    def _header(self, width: int) -> Strip:
        style = self.get_component_rich_style("row-list--header")
        texts = []
        for index, column_width in self._widths:
            column = self._columns[index]
            title = column.title
            if self._sorted_by and self._sorted_by[0] == column.key:
                title += " ↓" if self._sorted_by[1] else " ↑"
            texts.append(fitted(title, column_width, column.right))
        text = fitted(" " + (" " * _GAP).join(texts), width, right=False)
        return Strip([Segment(text, style)], width)

    def _row(self, row: Row, here: bool, width: int) -> Strip:
        base = self.rich_style
        if here:
            base = base + self.get_component_rich_style("row-list--cursor", partial=True)
        segments = [Segment(_MARK if here else " ", base)]
        used = 1
        for position, (index, column_width) in enumerate(self._widths):
            cell = row.cells[index]
            text = fitted(cell.text, column_width, self._columns[index].right)
            if position:
                text = " " * _GAP + text
                used += _GAP
            used += column_width
            segments.append(Segment(text, base + self._tone(cell.tone)))
        segments.append(Segment(" " * max(0, width - used), base))
        return Strip(Segment.simplify(segments), width)

    def _tone(self, tone: Tone) -> RichStyle:
        if not tone:
            return RichStyle.null()
        return self.get_component_rich_style(f"row-list--{tone}", partial=True)
