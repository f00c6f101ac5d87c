"""The live speed beside the chat: the panel, and its one line for a narrow screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.content import Content
from textual.timer import Timer

from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.throughput_lines import (
    NOTHING,
    STYLES,
    PanelData,
    one_line,
    panel_lines,
)

TICK_S = 0.25


class ThroughputPanel(LinesView):
    """Shows ``PanelData`` at most four times a second; a new phase is shown at once.

    With the class ``-line`` it is one line, for a narrow screen.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = set(STYLES)
    DEFAULT_CSS = """
    ThroughputPanel {
        width: 33;
        height: 1fr;
        border-left: solid $foreground 25%;
        color: $foreground;
        & > .panel--value { text-style: bold; color: $primary; }
        & > .panel--dim { color: $text-muted; }
        & > .panel--meter { color: $primary; }
        & > .panel--history { color: $primary; }
        &:nocolor > .panel--value, &:nocolor > .panel--meter, &:nocolor > .panel--history {
            color: $foreground;
        }
        &:ansi > .panel--dim { text-style: dim; }
    }
    ThroughputPanel.-line { width: 1fr; height: 1; border-left: none; }
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

    def draw(self) -> None:
        """Repaint the cells that differ from what is on the screen."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._drawn_at = self._clock()
        self._drawn_phase = self._data.reading.phase
        self.lines_changed()

    def lay_out(self, width: int) -> Sequence[Content]:
        """The panel's lines, or its one line."""
        if self.has_class("-line"):
            return [one_line(self._data, width)]
        return panel_lines(self._data, width)
