"""A list of rows in columns, made for ten thousand rows and for a slow line.

Textual sends every cell of a refreshed region again, so that what is refreshed is what is paid for:
this list remembers the rows on its lines and refreshes only the cells that really change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.css.tokenizer import TokenError
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from modeldeck.tui.widgets.cells import fit
from modeldeck.tui.widgets.columns import GAP, Column, Placed, place
from modeldeck.tui.widgets.readable import reads_well
from modeldeck.tui.widgets.rows import Row, cell_of

WHEEL_ROWS = 3
_MARK_CELLS = 1
_THUMB_CELLS = 1
_CURSOR_MARK = "▌"
_THUMB = "▐"


class _DrawnLine(NamedTuple):
    """Everything that decides how one line below the heading looks."""

    row: Row | None
    here: bool
    thumb: bool


class RowList(Widget, can_focus=True):
    """Rows under a heading, with a cursor on one of them.

    The cursor stays on its row when the rows change, and the row stays on its line where that is
    possible, so that nothing jumps under the user's hand. Columns that find no room are left out.
    ``enter`` is left to the screen, where the user may have given it another meaning.
    """

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "the row above", show=False),
        Binding("down", "move(1)", "the row below", show=False),
        Binding("pageup", "page(-1)", "a page up", show=False),
        Binding("pagedown", "page(1)", "a page down", show=False),
        Binding("home", "edge(-1)", "the first row", show=False),
        Binding("end", "edge(1)", "the last row", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row-list--header",
        "row-list--cursor",
        "row-list--cursor-blurred",
        "row-list--thumb",
        "row-list--muted",
        "row-list--good",
        "row-list--warn",
        "row-list--bad",
        "row-list--accent",
    }
    DEFAULT_CSS = """
    RowList {
        height: 1fr;
        color: $foreground;
        & > .row-list--header { color: $text-muted; text-style: bold; }
        & > .row-list--cursor {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: bold;
        }
        & > .row-list--cursor-blurred {
            color: $block-cursor-blurred-foreground;
            background: $block-cursor-blurred-background;
            text-style: bold;
        }
        & > .row-list--thumb { color: $scrollbar; }
        & > .row-list--muted { color: $text-muted; }
        & > .row-list--good { color: $text-success; }
        & > .row-list--warn { color: $text-warning; }
        & > .row-list--bad { color: $text-error; }
        & > .row-list--accent { color: $primary; }
        &:ansi > .row-list--header, &:ansi > .row-list--muted { text-style: dim; }
        &:ansi > .row-list--cursor {
            color: ansi_default; background: ansi_default; text-style: bold reverse;
        }
        &:ansi > .row-list--cursor-blurred {
            color: ansi_default; background: ansi_default; text-style: bold;
        }
        &:nocolor > .row-list--cursor {
            color: $foreground; background: $background; text-style: bold reverse;
        }
    }
    """

    @dataclass
    class Highlighted(Message):
        """The cursor is on another row now; ``key`` is None when there are no rows."""

        row_list: RowList
        key: str | None

        @property
        def control(self) -> RowList:
            """The list, for ``@on`` with a selector."""
            return self.row_list

        def can_replace(self, message: Message) -> bool:
            """Only the newest place of the cursor counts."""
            return isinstance(message, RowList.Highlighted) and message.row_list is self.row_list

    @dataclass
    class Selected(Message):
        """The user chose the row under the cursor: a click on it, or the ``select`` action."""

        row_list: RowList
        key: str

        @property
        def control(self) -> RowList:
            """The list, for ``@on`` with a selector."""
            return self.row_list

    @dataclass
    class HeadingClicked(Message):
        """The user clicked the heading of a column."""

        row_list: RowList
        column: str

        @property
        def control(self) -> RowList:
            """The list, for ``@on`` with a selector."""
            return self.row_list

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        """Make an empty list.

        Args:
            columns: from left to right; a row has a cell for each.
            id: of the widget.
            classes: of the widget.
        """
        super().__init__(id=id, classes=classes)
        self.auto_links = False
        self._columns = tuple(columns)
        self._placed: tuple[Placed, ...] = ()
        self._rows: Sequence[Row] = ()
        self._cursor = 0
        self._top = 0
        self._told: str | None = None
        self._sorted: tuple[str, bool] | None = None
        self._drawn: list[_DrawnLine] = []
        self._strips: LRUCache[tuple[_DrawnLine, bool], Strip] = LRUCache(512)
        self._styles_of: dict[tuple[str, bool, bool], RichStyle] = {}

    # What others may know and ask for.

    @property
    def rows(self) -> Sequence[Row]:
        """The rows as they were set."""
        return self._rows

    @property
    def cursor_index(self) -> int:
        """Index of the row under the cursor; 0 when there are no rows."""
        return self._cursor

    @property
    def cursor_key(self) -> str | None:
        """Key of the row under the cursor; None when there are no rows."""
        return self._rows[self._cursor].key if self._rows else None

    @property
    def top_index(self) -> int:
        """Index of the row on the first line."""
        return self._top

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show ``rows``. The cursor stays on its row or, where that has gone, on its line.

        ``rows`` must not change afterwards. What looks the same is not sent again.
        """
        key, line = self.cursor_key, self._cursor - self._top
        before, self._rows = self._rows, rows
        if rows is before:
            return
        if not (self._cursor < len(rows) and rows[self._cursor].key == key):
            here = (index for index, row in enumerate(rows) if row.key == key)
            self._cursor = next(here, min(self._cursor, max(0, len(rows) - 1)))
            self._top = self._cursor - line
        self._top = max(0, min(self._top, self._last_top))
        self._show()

    def move_to(self, key: str) -> bool:
        """Put the cursor on the row called ``key``; False when there is none."""
        for index, row in enumerate(self._rows):
            if row.key == key:
                self._go(index)
                return True
        return False

    def show_sorting(self, column: str | None, descending: bool = False) -> None:
        """Mark the heading of ``column`` as the one the rows are sorted by."""
        mark = None if column is None else (column, descending)
        if mark != self._sorted:
            self._sorted = mark
            self.refresh(Region(0, 0, self.size.width, 1))

    # Moving.

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    @property
    def _last_top(self) -> int:
        return max(0, len(self._rows) - self._page)

    def _go(self, index: int) -> None:
        if not self._rows:
            return
        self._cursor = max(0, min(index, len(self._rows) - 1))
        self._reveal()
        self._show()

    def _reveal(self) -> None:
        self._top = max(self._cursor - self._page + 1, min(self._top, self._cursor))
        self._top = max(0, min(self._top, self._last_top))

    def _scroll(self, rows: int) -> None:
        self._top = max(0, min(self._top + rows, self._last_top))
        self._show()

    def action_move(self, rows: int) -> None:
        """Move the cursor; it stops at both ends."""
        self._go(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor and the view by whole pages."""
        self._top = max(0, min(self._top + pages * self._page, self._last_top))
        self._go(self._cursor + pages * self._page)

    def action_edge(self, direction: int) -> None:
        """Go to the first row or, with a positive ``direction``, to the last."""
        self._go(len(self._rows) - 1 if direction > 0 else 0)

    def action_select(self) -> None:
        """Choose the row under the cursor."""
        if (key := self.cursor_key) is not None:
            self.post_message(self.Selected(self, key))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; on the cursor it selects, on a heading it says so."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        event.stop()
        if offset.y == 0:
            x = offset.x - _MARK_CELLS
            for spot in self._placed:
                if spot.x <= x < spot.x + spot.width:
                    self.post_message(self.HeadingClicked(self, self._columns[spot.column].key))
            return
        index = self._top + offset.y - 1
        if index < len(self._rows):
            if index == self._cursor:
                self.action_select()
            else:
                self._go(index)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the view and leaves the cursor."""
        event.stop()
        self._scroll(WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the view and leaves the cursor."""
        event.stop()
        self._scroll(-WHEEL_ROWS)

    # Drawing.

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        # Here and not when the resize event comes: the first frame is painted before that.
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if changed:
            self._placed = place(self._columns, self.size.width - _MARK_CELLS - _THUMB_CELLS)
            self._strips.clear()
            self._reveal()
            self._drawn = self._lines()
        return changed

    def notify_style_update(self) -> None:
        """Forget what was drawn in the old colours."""
        super().notify_style_update()
        self._strips.clear()
        self._styles_of.clear()

    def _lines(self) -> list[_DrawnLine]:
        height, count = self.size.height - 1, len(self._rows)
        if height <= 0:
            return []
        thumb = range(0)
        if count > height:
            size = max(1, height * height // count)
            start = round((height - size) * self._top / self._last_top)
            thumb = range(start, start + size)
        return [
            _DrawnLine(
                self._rows[index] if index < count else None,
                index == self._cursor and index < count,
                y in thumb,
            )
            for y, index in enumerate(range(self._top, self._top + height))
        ]

    def _show(self) -> None:
        """Draw what changed since the last time and tell where the cursor is."""
        before, self._drawn = self._drawn, self._lines()
        regions = [
            Region(start, y, end - start, 1)
            for y, (old, new) in enumerate(zip(before, self._drawn, strict=False), 1)
            if old != new
            for start, end in self._changed(old, new)
        ]
        if len(before) != len(self._drawn):
            self.refresh()
        elif regions:
            self.refresh(*regions)
        key = self.cursor_key
        if key != self._told:
            self._told = key
            self.post_message(self.Highlighted(self, key))

    def _changed(self, old: _DrawnLine, new: _DrawnLine) -> Iterator[tuple[int, int]]:
        """The run of cells that differs, from its first to past its last."""
        width = self.size.width
        if old.here != new.here or old.row is None or new.row is None:
            if old.here == new.here and old.row is new.row:
                yield width - _THUMB_CELLS, width
            else:
                yield 0, width
            return
        pairs = [
            (spot, cell_of(old.row, spot.column), cell_of(new.row, spot.column))
            for spot in self._placed
        ]
        spots = [spot for spot, one, other in pairs if one != other]
        if spots:
            end = spots[-1].x + spots[-1].width + _MARK_CELLS
            yield spots[0].x + _MARK_CELLS, min(end, width - _THUMB_CELLS)
        if old.thumb != new.thumb:
            yield width - _THUMB_CELLS, width

    def render_line(self, y: int) -> Strip:
        """The heading, then the rows in view; drawn once for each look."""
        if y == 0:
            return self._heading()
        if y > len(self._drawn):
            return Strip.blank(self.size.width, self.visual_style.rich_style)
        line = self._drawn[y - 1]
        look = (line, self.has_focus)
        strip = self._strips.get(look)
        if strip is None:
            strip = self._strips[look] = self._draw(line)
        return strip

    def _heading(self) -> Strip:
        text = " " * _MARK_CELLS
        for spot in self._placed:
            column = self._columns[spot.column]
            mark = ""
            if self._sorted is not None and self._sorted[0] == column.key:
                mark = "▾" if self._sorted[1] else "▴"
            if column.align == "right":
                text += fit(column.title, spot.width, "right") + mark.ljust(GAP)
            else:
                text += fit(column.title + mark, spot.width + GAP)
        style = self._style(".header", here=False)
        return Strip([Segment(fit(text.rstrip(), self.size.width), style)], self.size.width)

    def _draw(self, line: _DrawnLine) -> Strip:
        # A change of style costs about forty bytes: blanks take the style of what is before them,
        # the mark that of what is behind it.
        here, plain = line.here, self._style("", here=line.here)
        pieces: list[tuple[str, RichStyle]] = []
        end = 0
        for spot in self._placed if line.row is not None else ():
            cell = cell_of(line.row, spot.column)
            text = fit(cell.text, spot.width, self._columns[spot.column].align)
            pieces += [(" " * (spot.x - end), plain), (text, self._style(cell.style, here=here))]
            end = spot.x + spot.width
        room = self.size.width - _MARK_CELLS - _THUMB_CELLS - end
        pieces.append((" " * room, plain))
        pieces.append((_THUMB, self._style(".thumb", here=here)) if line.thumb else (" ", plain))
        first = next((style for text, style in pieces if not text.isspace() and text), plain)
        runs = [(_CURSOR_MARK if here else " ", first)]
        for text, style in pieces:
            before, same = runs[-1]
            if text.isspace() or style == same or not text:
                runs[-1] = (before + text, same)
            else:
                runs.append((text, style))
        return Strip([Segment(text, style) for text, style in runs], self.size.width)

    def _style(self, name: str, *, here: bool) -> RichStyle:
        """The style called ``name`` on a row, with or without the cursor."""
        look = (name, here, self.has_focus)
        style = self._styles_of.get(look)
        if style is None:
            base = self.visual_style
            if here:
                state = "cursor" if self.has_focus else "cursor-blurred"
                base += Style.from_styles(self.get_component_styles(f"row-list--{state}"))
            named = base + self._named(name)
            if here and not reads_well(named):
                named = base
            style = self._styles_of[look] = named.rich_style
        return style

    def _named(self, name: str) -> Style:
        if not name:
            return Style()
        component = f"row-list--{name.removeprefix('.')}"
        if component in self.COMPONENT_CLASSES:
            return Style.from_styles(self.get_component_styles(component))
        try:
            return Style.parse(name)
        except (TokenError, ValueError):
            return Style()
