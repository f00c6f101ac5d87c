"""Lines of styled text; a change repaints only the cells that really changed.

Textual sends every cell of a refreshed region again, so that what a widget marks as changed is
what it costs on a slow line.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import split_graphemes
from textual.content import Content
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual
from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class Cells:
    """A run of cells on a line."""

    start: int
    end: int


def _pieces(line: Content) -> list[tuple[str, int, tuple[object, ...]]]:
    """Each grapheme with its width in cells and its styles."""
    text = line.plain
    if text.isascii():
        spans = [(index, index + 1, 1) for index in range(len(text))]
    else:
        spans = split_graphemes(text)[0]
    styles: list[tuple[object, ...]] = [()] * len(text)
    for start, end, style in line.spans:
        for index in range(max(0, start), min(end, len(text))):
            styles[index] = (*styles[index], style)
    return [(text[start:end], cells, styles[start]) for start, end, cells in spans]


def changed_cells(before: Content, after: Content) -> Cells | None:
    """The smallest run of cells outside which both lines look the same; None for no change."""
    if before is after or (before.plain == after.plain and before.spans == after.spans):
        return None
    old, new = _pieces(before), _pieces(after)
    same = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        same += 1
    if same == len(old) == len(new):
        return None
    start = sum(cells for _, cells, _ in new[:same])
    old_end, new_end = sum(p[1] for p in old), sum(p[1] for p in new)
    if old_end != new_end:
        return Cells(start, max(old_end, new_end))
    tail = 0
    for one, other in zip(reversed(old[same:]), reversed(new[same:]), strict=False):
        if one != other:
            break
        tail += one[1]
    return Cells(start, new_end - tail) if start < new_end - tail else None


class LinesView(Widget):
    """Shows the lines that ``lay_out`` gives for a width; as high as there are lines."""

    DEFAULT_CSS = """
    LinesView { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.auto_links = False
        self._lines: Sequence[Content] = ()
        self._lines_width = -1
        self._height = -1

    @abstractmethod
    def lay_out(self, width: int) -> Sequence[Content]:
        """The lines at ``width`` cells. An unchanged line is best the same object as before."""

    def rows(self, line_count: int) -> int:
        """How high the widget is for so many lines; more leaves blank rows below."""
        return line_count

    def lines_changed(self) -> None:
        """Lay out again and repaint what differs; another height asks for a new layout."""
        if self._lines_width < 0:
            return
        before, self._lines = self._lines, self.lay_out(self._lines_width)
        if self.styles.is_auto_height and self.rows(len(self._lines)) != self._height:
            self.refresh(layout=True, repaint=False)
            return
        regions = list(self._changed_regions(before, self._lines))
        if regions:
            self.refresh(*regions)

    def _changed_regions(
        self, before: Sequence[Content], after: Sequence[Content]
    ) -> Iterator[Region]:
        empty = Content()
        for y, (old, new) in enumerate(zip_longest(before, after, fillvalue=empty)):
            cells = changed_cells(old, new)
            if cells is not None:
                yield Region(cells.start, y, cells.end - cells.start, 1)

    def _lay_out_at(self, width: int) -> None:
        if width != self._lines_width:
            self._lines_width = width
            self._lines = self.lay_out(width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many as there are lines at ``width``."""
        self._lay_out_at(width)
        self._height = self.rows(len(self._lines))
        return self._height

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        resized = size != self._size
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if resized:
            # The new layout has marked the whole widget for painting; what the size change marks
            # on top would paint it a second time with the next small change.
            self._exchange_repaint_regions()
        return changed

    def render_line(self, y: int) -> Strip:
        """Line ``y`` with the selection on it."""
        width = self.size.width
        self._lay_out_at(width)
        base = self.visual_style
        if y >= len(self._lines):
            return Strip.blank(width, base.rich_style)
        line = self._lines[y]
        selection = self.text_selection
        span = selection.get_span(y) if selection is not None else None
        if span is not None:
            start, end = span
            colours = Style.from_styles(self.screen.get_component_styles("screen--selection"))
            line = line.stylize(colours, start, len(line) if end == -1 else end)
        # Padded as text, not as a strip: cells of one style cost one escape sequence.
        line = line.pad_right(max(0, width - line.cell_length))
        strips = Visual.to_strips(
            self, line, max(1, line.cell_length), 1, base, apply_selection=False
        )
        return strips[0].adjust_cell_length(width, base.rich_style).apply_offsets(0, y)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, line by line as shown."""
        return selection.extract("\n".join(line.plain for line in self._lines)), "\n"
