"""The list of conversations: title, model, time and messages; below a found one, where it was."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.geometry import Offset
from textual.message import Message

from modeldeck.engines.store.conversation_list import Listed
from modeldeck.engines.text import clean_line
from modeldeck.tui.widgets.cells import fit, steady
from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.model_picker import window

WIDE = 100
_MARK_CELLS = 1
_HIT = "bold underline $primary"


@dataclass(frozen=True, slots=True)
class Widths:
    """Cells of each column at one width of the list."""

    title: int
    model: int

    @classmethod
    def at(cls, width: int) -> Widths:
        """The title takes what the others leave."""
        model = 24 if width >= WIDE else 12
        return cls(max(8, width - _MARK_CELLS - model - 16 - 8 - 6), model)


def when_text(seconds: int) -> str:
    """A time of the past in local time, to the minute; nothing where the clock was far off."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):
        return ""


def heading(width: int) -> Content:
    """The names of the columns."""
    widths = Widths.at(width)
    text = f"{fit('CONVERSATION', widths.title)}  {fit('MODEL', widths.model)}"
    return Content.styled(f" {text}  {fit('LAST WORD', 16)}  MESSAGES", "bold $text-muted")


def _marked(text: str, hits: Sequence[tuple[int, int]], width: int) -> Content:
    shown = fit(text, width)
    if steady(text) != text:
        hits = ()  # what is drawn is no longer what was searched, letter by letter
    content = Content(shown)
    for start, end in hits:
        if start < len(shown):
            content = content.stylize(_HIT, start, min(end, len(shown)))
    return content


def row_lines(listed: Listed, width: int, *, here: bool, deleting: bool) -> list[Content]:
    """One conversation: a line and, where something was searched for, a second one."""
    widths = Widths.at(width)
    mark = "▌" if here else " "
    title = clean_line(listed.title) or "(nothing said)"
    if deleting:
        # The question stands in the row itself, where the eyes are.
        ask = f"{mark}delete it?  the same key deletes, esc keeps   {title}"
        first = Content.styled(fit(ask, width), "bold $text-error")
    else:
        first = Content.assemble(
            mark,
            _marked(title, listed.title_hits, widths.title),
            "  ",
            (fit(listed.model, widths.model), "" if here else "$text-muted"),
            "  ",
            (fit(when_text(listed.updated), 16), "" if here else "$text-muted"),
            f"  {listed.message_count:>8} ",
        )
        if here:
            first = first.stylize("bold reverse")
    if listed.found is None:
        return [first]
    snippet = _marked(listed.found.text, listed.found.hits, width - 5)
    return [first, Content.assemble("    ", snippet.stylize_before("$text-muted"))]


class ConversationRows(LinesView):
    """Conversations with a cursor on one of them; it stays on its conversation when they change."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    ConversationRows { height: 1fr; }
    """

    class Chosen(Message):
        """The user clicked on the conversation under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[Listed] = ()
        self._cursor = 0
        self._nothing = ""
        self._deleting = False

    @property
    def here(self) -> Listed | None:
        """The conversation under the cursor."""
        return self._rows[self._cursor] if self._rows else None

    @property
    def deleting(self) -> bool:
        """Whether the row under the cursor asks if it is to be deleted."""
        return self._deleting

    @property
    def place_of_cursor(self) -> Offset:
        """Where the row under the cursor is drawn, from the list's corner."""
        return Offset(_MARK_CELLS, (self._cursor - self._first) * self._row_height)

    def show(self, rows: Sequence[Listed], nothing: str) -> None:
        """Put ``rows`` in place; ``nothing`` is said where there are none."""
        here, self._rows, self._nothing = self.here, rows, nothing
        places = {row.id: index for index, row in enumerate(rows)}
        at = self._cursor if here is None else places.get(here.id, self._cursor)
        self._deleting = self._deleting and here is not None and here.id in places
        self._go(at)

    def first(self) -> None:
        """Go to the first row."""
        self.move(-len(self._rows))

    def move(self, step: int) -> None:
        """Move the cursor; it stops at both ends."""
        self._deleting = False
        self._go(self._cursor + step)

    def page(self, pages: int) -> None:
        """Move the cursor by whole pages."""
        self.move(pages * self._room)

    def ask_to_delete(self, asking: bool) -> None:
        """Ask, in the row under the cursor, whether it is to be deleted; or ask no more."""
        self._deleting = asking and self.here is not None
        self.lines_changed()

    def _go(self, index: int) -> None:
        self._cursor = max(0, min(index, len(self._rows) - 1))
        self.lines_changed()

    @property
    def _row_height(self) -> int:
        return 2 if self._rows and self._rows[0].found is not None else 1

    @property
    def _room(self) -> int:
        return max(1, self.size.height // self._row_height)

    @property
    def _first(self) -> int:
        return window(len(self._rows), self._cursor, self._room)

    def on_resize(self) -> None:
        """As many rows as there is room for."""
        self.lines_changed()

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; on the cursor it opens."""
        index = self._first + event.y // self._row_height
        if index >= len(self._rows):
            return
        event.stop()
        if index == self._cursor and not self._deleting:
            self.post_message(self.Chosen())
        else:
            self.move(index - self._cursor)

    def lay_out(self, width: int) -> Sequence[Content]:
        """The rows around the cursor."""
        if not self._rows:
            return [Content.styled(f" {self._nothing}", "$text-muted")]
        first = self._first
        lines: list[Content] = []
        for index in range(first, min(first + self._room, len(self._rows))):
            here = index == self._cursor
            lines += row_lines(
                self._rows[index], width, here=here, deleting=here and self._deleting
            )
        return lines
