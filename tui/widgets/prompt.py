"""The line the user writes in: one row that grows, with the prompts sent before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea

from modeldeck.engines.text import clean
from modeldeck.tui.widgets.transcript import Scroll

HISTORY_LIMIT = 200
PASTE_SHOWN = 10_000
"""Characters of a paste that stand in the field; a longer one is a mark that stands for it."""
_MARK = re.compile(r"\[pasted text \d+: [\d,]+ characters\]")


class History:
    """What was sent, walked with up and down; the unsent draft stands at its end."""

    def __init__(self, sent: Iterable[str] = ()) -> None:
        self._sent = list(sent)[-HISTORY_LIMIT:]
        self._at = len(self._sent)
        self._draft = ""

    def add(self, text: str) -> None:
        """Remember ``text`` as the newest; the same text twice in a row counts once."""
        if not self._sent or self._sent[-1] != text:
            self._sent = [*self._sent, text][-HISTORY_LIMIT:]
        self._at = len(self._sent)

    def older(self, shown: str) -> str | None:
        """What was sent before the text shown; None at the oldest."""
        if self._at == 0:
            return None
        if self._at == len(self._sent):
            self._draft = shown
        self._at -= 1
        return self._sent[self._at]

    def newer(self) -> str | None:
        """What was sent after the text shown, then the draft; None at the draft."""
        if self._at == len(self._sent):
            return None
        self._at += 1
        return self._draft if self._at == len(self._sent) else self._sent[self._at]


class Prompt(TextArea):
    """A message field: ``enter`` sends, and keys it has no use for go on to the screen.

    Letters always type. ``up`` and ``down`` walk the history at the first and last row; page keys
    ask to move the transcript, and so do ``home`` and ``end`` while the field is empty. A huge
    paste is a short mark in the field and whole in what is sent.
    """

    DEFAULT_CSS = """
    Prompt, Prompt:focus {
        height: auto;
        min-height: 1;
        max-height: 6;
        width: 1fr;
        border: none;
        padding: 0;
        background: transparent;
        scrollbar-size-vertical: 1;
    }
    """

    @dataclass
    class Submitted(Message):
        """The user sent a message."""

        text: str

    @dataclass
    class ScrollAsked(Message):
        """The user wants to move through the transcript."""

        where: Scroll

    @dataclass
    class Pasted(Message):
        """The user pasted a text; it stands in the field."""

        text: str

    def __init__(
        self,
        *,
        sent: Iterable[str] = (),
        send_keys: Iterable[str] = ("enter",),
        newline_keys: Iterable[str] = ("ctrl+j",),
        placeholder: str = "",
        id: str | None = None,  # noqa: A002
    ) -> None:
        """Make an empty field.

        Args:
            sent: messages of the past for the history, oldest first.
            send_keys: keys that send.
            newline_keys: keys that start a new line.
            placeholder: shown while the field is empty.
            id: of the widget.
        """
        super().__init__(
            id=id,
            soft_wrap=True,
            highlight_cursor_line=False,
            placeholder=Content(placeholder),
            compact=True,
        )
        self.cursor_blink = False
        self._history = History(sent)
        self._pastes: dict[str, str] = {}
        self._send_keys = frozenset(send_keys)
        self._newline_keys = frozenset(newline_keys)

    def put(self, text: str) -> None:
        """Put ``text`` into the field with the cursor at its end."""
        self.text = text
        self.move_cursor(self.document.end)

    def send(self) -> None:
        """Send what is written, unless that is nothing."""
        text = self.text.strip()
        if not text:
            return
        message = self.message
        self._history.add(text)
        self.put("")
        self.post_message(self.Submitted(message))

    @property
    def message(self) -> str:
        """What would be sent now: the text with whole pastes in place of their marks."""
        text = self.text.strip()
        return _MARK.sub(lambda mark: self._pastes.get(mark.group(), mark.group()), text)

    async def _on_key(self, event: events.Key) -> None:
        if event.key in self._send_keys:
            event.stop()
            event.prevent_default()
            self.send()
        elif event.key in self._newline_keys:
            event.stop()
            event.prevent_default()
            self.insert("\n")
        elif event.key in ("home", "end") and not self.text:
            event.stop()
            event.prevent_default()
            self.post_message(self.ScrollAsked("home" if event.key == "home" else "end"))
        elif event.key == "enter":
            # The user gave sending another key; then enter does what it does in any text.
            event.stop()
            event.prevent_default()
            self.insert("\n")

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = clean(event.text)
        if len(text) > PASTE_SHOWN:
            mark = f"[pasted text {len(self._pastes) + 1}: {len(text):,} characters]"
            self._pastes[mark] = text
            text = mark
        start, end = self.selection
        self.replace(text, start, end, maintain_selection_offset=False)
        self.post_message(self.Pasted(text))

    def _row(self) -> int:
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def action_cursor_up(self, select: bool = False) -> None:
        """Move up; on the first row, show the message sent before."""
        if select or self._row() > 0:
            super().action_cursor_up(select)
        elif (text := self._history.older(self.text)) is not None:
            self.put(text)

    def action_cursor_down(self, select: bool = False) -> None:
        """Move down; on the last row, show the message sent after."""
        if select or self._row() < self.wrapped_document.height - 1:
            super().action_cursor_down(select)
        elif (text := self._history.newer()) is not None:
            self.put(text)

    def action_cursor_page_up(self) -> None:
        """Move the transcript up."""
        self.post_message(self.ScrollAsked("page_up"))

    def action_cursor_page_down(self) -> None:
        """Move the transcript down."""
        self.post_message(self.ScrollAsked("page_down"))
