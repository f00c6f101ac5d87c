"""The conversation so far: a window on its newest messages that can be pulled upwards."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import ClassVar, Literal, cast

from textual import getters
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size

from modeldeck.engines.text import clean
from modeldeck.tui.widgets.answer import LOCAL_INTERVAL_S, Answer
from modeldeck.tui.widgets.cells import fit
from modeldeck.tui.widgets.line_breaks import wrapped
from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.turn import Turn, named

MOUNTED_MESSAGES = 24
"""Enough for a screen and a page up; every one is laid out again whenever the last one grows."""
EARLIER_STEP = 12
MOST_SHOWN = 72
"""However far the user scrolls up, no more messages than these are laid out."""
QUESTION_LINES = 40

Scroll = Literal["page_up", "page_down", "home", "end"]
"""A way to move through the transcript, whichever widget the key was pressed in."""


class Question(LinesView):
    """What the user said, as plain text. A pasted book is folded after its first lines."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "question--name",
        "question--fork",
        "question--image",
    }
    DEFAULT_CSS = """
    Question {
        margin: 0 0 1 0;
        color: $foreground;
        & > .question--name { color: $text-muted; }
        & > .question--fork { color: $text-accent; }
        & > .question--image { color: $text-accent; }
    }
    """

    def __init__(self, text: str, fork: str = "", images: Sequence[str] = ()) -> None:
        super().__init__()
        self.text = text
        self.images = tuple(images)
        self.fork = fork
        lines = clean(text).expandtabs(4).strip("\n").split("\n")
        self._shown = [Content(line) for line in lines[:QUESTION_LINES]]
        self._hidden = len(lines) - len(self._shown)

    @property
    def turn(self) -> Turn:
        """The message as data."""
        return Turn("user", self.text, fork=self.fork, images=self.images)

    def lay_out(self, width: int) -> Sequence[Content]:
        """``you`` and the text, indented."""
        indent = Content("   ")
        lines = list(
            chain.from_iterable(wrapped(line, max(8, width - 4)) for line in self._shown)
        )  # fmt: skip
        hidden = self._hidden
        if len(lines) > QUESTION_LINES:
            hidden += len(lines) - QUESTION_LINES
            del lines[QUESTION_LINES:]
        if hidden:
            lines.append(Content.styled(f"… {hidden:,} more lines", ".question--name"))
        images = [
            indent + Content.styled(fit(line, max(8, width - 4)).rstrip(), ".question--image")
            for line in self.images
        ]
        name = named("you", ".question--name", self.fork, ".question--fork")
        return [name, *images, *(indent + line for line in lines)]


class HiddenMessages(LinesView):
    """Says how many messages stand above the oldest one shown, or below the newest."""

    DEFAULT_CSS = """
    HiddenMessages { color: $text-muted; margin: 0 0 1 0; }
    HiddenMessages.-none { display: none; }
    """

    def __init__(self, where: str, key: str, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id, classes="-none")
        self._where = where
        self._key = key
        self._text = Content()

    def show(self, count: int) -> None:
        """Show the number, or nothing for 0."""
        plural = "" if count == 1 else "s"
        self._text = Content(f" … {count} {self._where} message{plural}: {self._key}")
        self.set_class(count == 0, "-none")
        self.lines_changed()

    def lay_out(self, width: int) -> Sequence[Content]:
        """One line."""
        return [self._text]


class Transcript(VerticalScroll):
    """Messages, newest at the bottom; stays there unless the user scrolls away.

    Only the newest messages are widgets: what a frame costs does not grow with the conversation.
    Older ones are mounted, a few at a time, when the user reaches the top or there is room, and let
    go when the user comes back to the end. From the beginning of a long one the way down is mounted
    in the same way.
    """

    DEFAULT_CSS = """
    Transcript {
        height: 1fr;
        width: 1fr;
        scrollbar-size-vertical: 1;
        overflow: hidden scroll;
    }
    """

    def __init__(
        self,
        *,
        interval_s: float = LOCAL_INTERVAL_S,
        growth_rows: int = 1,
        mounted: int = MOUNTED_MESSAGES,
        id: str | None = None,  # noqa: A002
    ) -> None:
        """Make an empty transcript.

        Args:
            interval_s: shortest time between two drawings of an answer.
            growth_rows: rows an answer grows by at a time: 1, or a few over a slow line.
            mounted: how many messages are widgets at most, until the user asks for more.
            id: of the widget.
        """
        super().__init__(id=id)
        self._interval_s = interval_s
        self._growth_rows = growth_rows
        self._mounted = mounted
        self._earlier: list[Turn] = []
        self._skipped: list[Turn] = []  # between the messages laid out and those hidden below
        self._mounting_earlier = False
        self._mounting_later = False

    earlier_line = getters.query_one("#earlier", HiddenMessages)
    later_line = getters.query_one("#later", HiddenMessages)

    def compose(self) -> ComposeResult:
        """The lines above the oldest message and below the newest; messages come between."""
        yield HiddenMessages("earlier", "pgup", id="earlier")
        yield HiddenMessages("later", "end", id="later")

    @property
    def messages(self) -> tuple[Question | Answer, ...]:
        """The messages that are widgets, oldest first."""
        return tuple(child for child in self.children if isinstance(child, Question | Answer))

    @property
    def earlier_count(self) -> int:
        """How many messages are not widgets."""
        return len(self._earlier) + len(self._skipped)

    @property
    def last_answer(self) -> Answer | None:
        """The newest answer, finished or not."""
        return next((m for m in reversed(self.messages) if isinstance(m, Answer)), None)

    async def show(self, turns: Sequence[Turn]) -> None:
        """Put a conversation in place of the one shown."""
        first = max(0, len(turns) - self._mounted)
        self._earlier, self._skipped = list(turns[:first]), []
        with self._batch():
            await self.remove_children(self.messages)
            self.earlier_line.show(len(self._earlier))
            self.later_line.show(0)
            widgets = [self._widget(turn) for turn in turns[first:]]
            await self.mount_all(widgets, before=self.later_line)
        self.follow()

    async def ask(self, text: str, fork: str = "", images: Sequence[str] = ()) -> Question:
        """Add what the user said, and follow the conversation again."""
        question = Question(text, fork, images)
        await self._add(question)
        return question

    async def answer(self, name: str, fork: str = "") -> Answer:
        """Add an empty answer of the model called ``name``."""
        answer = Answer(name, fork=fork, interval_s=self._interval_s, growth_rows=self._growth_rows)
        await self._add(answer)
        return answer

    def _batch(self) -> AbstractContextManager[None]:
        app = cast("App[object]", self.app)  # pyright: ignore[reportUnknownMemberType]
        return app.batch_update()

    async def _add(self, message: Question | Answer) -> None:
        with self._batch():
            await self._prune()
            await self.mount(message, before=self.later_line)
        self.follow()

    async def _prune(self) -> None:
        if self._skipped:
            above = [message for message in self.messages if message.display]
            self._earlier += [*(message.turn for message in above), *self._skipped]
            self._skipped = []
            self.earlier_line.show(len(self._earlier))
            await self.remove_children(above)
        self._show_later(len(self._later))
        surplus = self.messages[: -self._mounted]
        if len(surplus) < EARLIER_STEP:
            return
        self._earlier += [message.turn for message in surplus]
        self.earlier_line.show(len(self._earlier))
        await self.remove_children(surplus)

    @property
    def _later(self) -> list[Question | Answer]:
        """The messages below those that are laid out."""
        return [message for message in self.messages if not message.display]

    def _show_later(self, count: int) -> None:
        """Lay out the next ``count`` messages below."""
        later = self._later
        for message in later[:count]:
            message.display = True
        self.later_line.show(len(later[count:]) + len(self._skipped))

    def _hide_later(self) -> None:
        """Let the messages far below be: the user reads far above them."""
        for message in self.messages[MOST_SHOWN:]:
            message.display = False
        self.later_line.show(len(self._later))

    async def _go_home(self) -> None:
        """Show the beginning, however far above it is."""
        turns, self._earlier = self._earlier, []
        with self._batch():
            if len(turns) > self._mounted:
                for message in self.messages:
                    message.display = False
                turns, self._skipped = turns[: self._mounted], turns[self._mounted :]
            await self.mount_all((self._widget(turn) for turn in turns), after=self.earlier_line)
            self.earlier_line.show(0)
            self._hide_later()
            self.call_after_refresh(self.scroll_home, animate=False, immediate=True)

    async def _go_to_end(self) -> None:
        with self._batch():
            await self._prune()
            self.call_after_refresh(self.scroll_end, animate=False, immediate=True)

    def _want_later(self) -> None:
        if (self._skipped or self._later) and not self._mounting_later:
            self._mounting_later = True
            self.call_next(self._mount_later)

    async def _mount_later(self) -> None:
        """Lay out the next few messages below, and keep what is being read where it is."""
        here = self.scroll_y

        def keep_place() -> None:
            self.scroll_to(y=here, animate=False, immediate=True, release_anchor=True)

        with self._batch():
            turns, self._skipped = self._skipped[:EARLIER_STEP], self._skipped[EARLIER_STEP:]
            below = next(iter(self._later), self.later_line)
            await self.mount_all((self._widget(turn) for turn in turns), before=below)
            self._show_later(EARLIER_STEP - len(turns))
            self.call_after_refresh(keep_place)
        self._mounting_later = False

    def _widget(self, turn: Turn) -> Question | Answer:
        if turn.role == "user":
            return Question(turn.text, turn.fork, turn.images)
        return Answer.of(turn)

    # Scrolling.

    def follow(self) -> None:
        """Go to the bottom and stay there until the user scrolls away."""
        if self.virtual_size.height > self.container_size.height:
            self.anchor()

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        # Textual lays out again, and so paints everything twice, whenever the content grows: in
        # case the scrollbar appears. This one is always there.
        changed = super()._size_updated(
            size, virtual_size, container_size, layout and size != self._size
        )
        # An anchor would push a short conversation down to the bottom.
        overflows = virtual_size.height > container_size.height
        if overflows != self.is_anchored:
            self.anchor(overflows)
        if not overflows and container_size.height:
            self._want_earlier()
        return changed

    def scroll_by(self, where: Scroll) -> None:
        """Scroll at the user's request, from wherever the key was pressed."""
        match where:
            case "page_up":
                self.scroll_page_up(animate=False)
            case "page_down":
                self.scroll_page_down(animate=False)
            case "home":
                self.call_next(self._go_home)
            case "end":
                self.call_next(self._go_to_end)
        if where == "page_up" and self.scroll_y <= 0:
            self._want_earlier()

    def action_scroll_home(self) -> None:
        """The key, while the transcript has the focus."""
        self.scroll_by("home")

    def action_scroll_end(self) -> None:
        """The key, while the transcript has the focus."""
        self.scroll_by("end")

    def action_page_up(self) -> None:
        """The key, while the transcript has the focus."""
        self.scroll_by("page_up")

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Bring earlier messages when the top is reached, by key, wheel or bar."""
        super().watch_scroll_y(old_value, new_value)
        if new_value <= 0 < old_value:
            self._want_earlier()
        elif old_value < new_value and new_value >= self.max_scroll_y:
            self._want_later()

    def _want_earlier(self) -> None:
        if self._earlier and not self._mounting_earlier:
            self._mounting_earlier = True
            self.call_next(self._mount_earlier)

    async def _mount_earlier(self) -> None:
        """Mount the next few messages above, and keep what is being read where it is."""
        turns = self._earlier[-EARLIER_STEP:]
        del self._earlier[-EARLIER_STEP:]
        top = self.messages[0]
        before = top.virtual_region.y

        def keep_place() -> None:
            added = top.virtual_region.y - before
            self.scroll_to(y=self.scroll_y + added, animate=False, immediate=True)

        with self._batch():
            self.earlier_line.show(len(self._earlier))
            await self.mount_all((self._widget(turn) for turn in turns), after=self.earlier_line)
            self._hide_later()
            self.call_after_refresh(keep_place)
        self._mounting_earlier = False
