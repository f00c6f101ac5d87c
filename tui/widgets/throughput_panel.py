"""The live speed beside the chat: a panel on a wide screen, one line on a narrow one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.timer import Timer

from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.throughput_lines import (
    NOTHING,
    NUMBERS_END,
    NUMBERS_START,
    STYLES,
    TOP_LINES,
    PanelData,
    one_line,
    panel_lines,
)

TICK_S = 0.25


class PanelLines(LinesView):
    """Some of the panel's lines, or a column of them, as given."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(STYLES)
    DEFAULT_CSS = """
    PanelLines {
        color: $foreground;
        & > .panel--value { text-style: bold; color: $primary; }
        & > .panel--dim { color: $text-muted; }
        & > .panel--meter { color: $primary; }
        & > .panel--history { color: $primary; }
        &:nocolor > .panel--value, &:nocolor > .panel--meter, &:nocolor > .panel--history {
            color: $foreground;
        }
    }
    """

    def __init__(self, *, cells: int | None = None) -> None:
        super().__init__()
        self._given: Sequence[Content] = ()
        if cells is not None:
            self.styles.width = cells

    def put(self, lines: Sequence[Content]) -> None:
        """Show ``lines`` in place of what is shown."""
        self._given = lines
        self.lines_changed()

    def lay_out(self, width: int) -> Sequence[Content]:
        """The lines as given."""
        return self._given


class ThroughputPanel(Vertical):
    """Shows ``PanelData`` at most four times a second; a new phase is shown at once.

    The numbers are a column of their own: Textual sends a changed line from the left edge of its
    widget on, and so the labels stay out of it. With the class ``-line`` the panel is one line,
    for a narrow screen.
    """

    DEFAULT_CSS = """
    ThroughputPanel {
        width: 33;
        height: 1fr;
        border-left: solid $surface-lighten-2;
    }
    ThroughputPanel Horizontal { height: auto; }
    ThroughputPanel.-line { width: 1fr; height: 1; border-left: none; }
    ThroughputPanel.-line Horizontal { display: none; }
    """

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002
        tick_s: float = TICK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty panel.

        Args:
            id: of the widget.
            tick_s: shortest time between two drawings.
            clock: monotonic seconds.
        """
        super().__init__(id=id)
        self._data = NOTHING
        self._tick_s = tick_s
        self._clock = clock
        self._drawn_at = float("-inf")
        self._drawn_phase = NOTHING.reading.phase
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """The top lines, and three columns below."""
        yield PanelLines()
        with Horizontal():
            yield PanelLines(cells=NUMBERS_START)
            yield PanelLines(cells=NUMBERS_END - NUMBERS_START)
            yield PanelLines()

    @property
    def data(self) -> PanelData:
        """The newest data, drawn or about to be."""
        return self._data

    def show(self, data: PanelData) -> None:
        """Take new data; the numbers change in place."""
        if data == self._data:
            return
        self._data = data
        wait = self._tick_s - (self._clock() - self._drawn_at)
        if wait <= 0 or data.reading.phase != self._drawn_phase:
            self.draw()
        elif self._timer is None and self.is_mounted:
            self._timer = self.set_timer(wait, self.draw)

    def on_resize(self) -> None:
        """Fill the new width."""
        self.draw()

    def draw(self) -> None:
        """Repaint the cells that differ from what is on the screen."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        width = self.size.width
        if not self.is_mounted or not width:
            return
        self._drawn_at = self._clock()
        self._drawn_phase = self._data.reading.phase
        top, labels, numbers, rest = self.query(PanelLines)
        if self.has_class("-line"):
            top.put([one_line(self._data, width)])
            return
        lines = panel_lines(self._data, width)
        top.put(lines[:TOP_LINES])
        labels.put([line[:NUMBERS_START] for line in lines[TOP_LINES:]])
        numbers.put([line[NUMBERS_START:NUMBERS_END] for line in lines[TOP_LINES:]])
        rest.put([line[NUMBERS_END:] for line in lines[TOP_LINES:]])
