"""One answer of a model: its reasoning, its Markdown as it streams, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.content import Content
from textual.message import Message
from textual.timer import Timer

from modeldeck.engines.text import clean, clean_line
from modeldeck.tui.widgets.line_breaks import wrapped
from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.markdown_blocks import STYLES, URL_META
from modeldeck.tui.widgets.markdown_document import MarkdownDocument
from modeldeck.tui.widgets.reasoning import Reasoning
from modeldeck.tui.widgets.turn import Turn, named

LOCAL_INTERVAL_S = 0.1
BUSY_SHARE = 5
"""Drawing may take one part in this many of the time, however long the answer has grown."""

_INDENT = Content("   ")


class Answer(LinesView):
    """A model's turn. Text arrives in pieces and is drawn in batches.

    The first piece after a pause is drawn at once, those that follow within ``interval_s`` with
    the next batch; when drawing gets slow the batches get rarer by themselves.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = set(STYLES) | {
        "answer--name",
        "answer--fork",
        "answer--reasoning",
        "answer--note",
        "answer--failure",
    }
    DEFAULT_CSS = """
    Answer {
        margin: 0 0 1 0;
        color: $foreground;
        & > .answer--name { color: $text-muted; }
        & > .answer--fork { color: $text-accent; }
        & > .answer--reasoning { color: $text-muted; }
        & > .answer--note { color: $text-muted; }
        & > .answer--failure { color: $text-error; text-style: bold; }
        & > .markdown--heading { color: $text-primary; text-style: bold; }
        & > .markdown--code { color: $text-accent; }
        & > .markdown--link { text-style: underline; }
        & > .markdown--mark { color: $text-muted; }
        & > .markdown--keyword { color: $text-accent; }
        & > .markdown--string { color: $text-success; }
        & > .markdown--number { color: $text-warning; }
        & > .markdown--comment { color: $text-muted; }
        &:nocolor > .markdown--code { text-style: bold; }
    }
    """

    @dataclass
    class LinkClicked(Message):
        """The user clicked a link. It is never opened: this machine is not the user's."""

        url: str

    def __init__(
        self,
        name: str,
        *,
        fork: str = "",
        interval_s: float = LOCAL_INTERVAL_S,
        growth_rows: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty answer.

        Args:
            name: who answers, as shown above the text.
            fork: which of several answers this is, shown beside the name.
            interval_s: shortest time between two drawings while it streams.
            growth_rows: rows it grows by at a time while it streams. Each growth scrolls, and
                repaints, the whole transcript: more rows are cheaper on a slow line.
            clock: monotonic seconds.
        """
        super().__init__()
        self._name_shown = clean_line(name)
        self._fork = fork
        self._head = named(self._name_shown, ".answer--name", fork, ".answer--fork")
        self._document = MarkdownDocument(indent=_INDENT)
        self._reasoning = Reasoning()
        self._ending: list[Content] = []
        self._note = ""
        self._interval_s = interval_s
        self._growth_rows = growth_rows
        self._finished = False
        self._clock = clock
        self._source: list[str] = []
        self._reasoning_source: list[str] = []
        self._drawn_pieces = (0, 0)
        self._thinking_since: float | None = None
        self._measured = False
        self._drawn_at = float("-inf")
        self._drawing_s = 0.0
        self._timer: Timer | None = None

    @classmethod
    def of(cls, turn: Turn) -> Answer:
        """A finished answer."""
        answer = cls(turn.name, fork=turn.fork)
        answer.append_reasoning(turn.reasoning)
        answer.append(turn.text)
        answer.thought(turn.thought_seconds, turn.thought_tokens)
        answer.finish(turn.note)
        return answer

    @property
    def turn(self) -> Turn:
        """The answer as data."""
        return Turn(
            "assistant",
            self.source,
            self._name_shown,
            "".join(self._reasoning_source),
            self._note,
            self._reasoning.seconds,
            self._reasoning.tokens,
            self._fork,
        )

    @property
    def source(self) -> str:
        """The answer's Markdown as the model wrote it, so far."""
        return "".join(self._source)

    @property
    def has_reasoning(self) -> bool:
        """Whether there is reasoning to unfold."""
        return bool(self._reasoning_source)

    # Writing.

    def append(self, text: str) -> None:
        """Add the next piece of the answer."""
        if not text:
            return
        self._stop_thinking()
        self._source.append(text)
        self._draw_soon()

    def append_reasoning(self, text: str) -> None:
        """Add the next piece of the reasoning."""
        if not text:
            return
        if self._thinking_since is None:
            self._thinking_since = self._clock()
            self._reasoning.thinking = True
        self._reasoning_source.append(text)
        self._draw_soon()

    def thought(self, seconds: float | None, tokens: int | None) -> None:
        """Say how long the reasoning took and how many tokens it has, as measured elsewhere."""
        self._stop_thinking()
        self._reasoning.seconds, self._reasoning.tokens = seconds, tokens
        self._draw_soon()

    def thought_so_far(self, time_ns: int | None, tokens: int | None) -> None:
        """Take what the meter has measured of the reasoning, while it comes and at its end."""
        if time_ns is not None:
            self._reasoning.seconds, self._reasoning.tokens = time_ns / 1e9, tokens
            self._measured = True

    def finish(self, note: str = "") -> None:
        """End the answer; ``note`` says how when it is worth saying (``stopped``)."""
        self._end(note)
        self.draw()

    def fail(self, cause: str, next_step: str) -> None:
        """End the answer with an error, shown under what was written."""
        self._end("")
        self._ending = [
            Content.styled(f"✕ {clean(cause)}", ".answer--failure"),
            Content(f"  {clean(next_step)}"),
        ]
        self.draw()

    def toggle_reasoning(self, folded: bool | None = None) -> None:
        """Fold or unfold the reasoning."""
        self._reasoning.folded = not self._reasoning.folded if folded is None else folded
        self.draw()

    def _end(self, note: str) -> None:
        self._stop_thinking()
        self._take_pending()
        self._document.finish()
        self._finished = True
        self._note = clean(note)
        self._ending = [Content.styled(self._note, ".answer--note")] if note else []

    def _stop_thinking(self) -> None:
        if self._reasoning.thinking:
            self._clock_thinking()
            self._reasoning.thinking = False

    def _clock_thinking(self) -> None:
        since = self._thinking_since
        if self._reasoning.thinking and since is not None and not self._measured:
            self._reasoning.seconds = self._clock() - since

    # Drawing.

    def _draw_soon(self) -> None:
        if self._timer is not None or not self.is_mounted:
            return
        wait = max(self._interval_s, self._drawing_s * BUSY_SHARE)
        wait -= self._clock() - self._drawn_at
        if wait <= 0:
            self.draw()
        else:
            self._timer = self.set_timer(wait, self.draw)

    def draw(self) -> None:
        """Show everything that was appended."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        started = self._clock()
        self._clock_thinking()
        self._take_pending()
        self.lines_changed()
        self._drawn_at = self._clock()
        self._drawing_s = self._drawn_at - started

    def _take_pending(self) -> None:
        text, reasoning = self._drawn_pieces
        if len(self._source) > text:
            self._document.append("".join(self._source[text:]))
        if len(self._reasoning_source) > reasoning:
            self._reasoning.append("".join(self._reasoning_source[reasoning:]))
        self._drawn_pieces = len(self._source), len(self._reasoning_source)

    def on_mount(self) -> None:
        """Show what was appended before there was a screen."""
        self.draw()

    def rows(self, line_count: int) -> int:
        """As high as the text; while it streams, rounded up to whole steps."""
        if self._finished:
            return line_count
        return -(-line_count // self._growth_rows) * self._growth_rows

    def lay_out(self, width: int) -> Sequence[Content]:
        """Name, reasoning, text, ending."""
        inner = max(8, width - 4)
        ending = [part for line in self._ending for part in wrapped(line, inner)]
        return [
            self._head,
            *self._reasoning.lines(width),
            *self._document.lines(inner),
            *(_INDENT + line for line in ending),
        ]

    def on_click(self, event: events.Click) -> None:
        """A click on a link tells its address; on the reasoning's line it folds or unfolds it."""
        url = event.style.meta.get(URL_META)
        if isinstance(url, str):
            event.stop()
            self.post_message(self.LinkClicked(url))
        elif event.y == 1 and self.has_reasoning:
            event.stop()
            self.toggle_reasoning()
