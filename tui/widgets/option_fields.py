"""The options of a load, one line each, and advice below; the arrow keys change or take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from modeldeck.tui.load_options import OptionField, Value
from modeldeck.tui.widgets.lines_view import LinesView

_LABEL: Final = 16
_VALUE: Final = 10


def field_line(field: OptionField, *, here: bool) -> Content:
    """One option: its name, its value between the arrows that still lead somewhere."""
    at_first, at_last = field.moved(-1) == field.now, field.moved(1) == field.now
    left, right = ("◂" if here and not at_first else " "), ("▸" if here and not at_last else " ")
    value = Content.styled(f"{field.text:^{_VALUE}}", "bold" if field.given else "")
    line = Content.assemble("▌ " if here else "  ", f"{field.label:<{_LABEL}}", f"{left} ", value)
    line += Content(f" {right} ")
    return line + Content.styled("" if field.given else "auto", ".options--auto")


def advice_lines(text: str, width: int, *, here: bool) -> list[Content]:
    """One advice, wrapped; the arrow that takes it stands in front when the cursor is there."""
    body = Content(text).wrap(max(8, width - 4), overflow="fold")
    starts = ["▌ ▸ " if here else "  ▸ ", *["▌   " if here else "    "] * (len(body) - 1)]
    return [Content(start) + line for start, line in zip(starts, body, strict=True)]


class OptionFields(LinesView, can_focus=True):
    """The lines. ``Changed`` and ``Taken`` say what is wanted; ``show`` puts it in place."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"options--auto"}
    DEFAULT_CSS = """
    OptionFields {
        & > .options--auto { color: $text-muted; }
        &:ansi > .options--auto { text-style: dim; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "walk(-1)", "the line above", show=False),
        Binding("down", "walk(1)", "the line below", show=False),
        Binding("left", "change(-1)", "less", show=False),
        Binding("right", "change(1)", "more", show=False),
        Binding("pageup", "change(-8)", "much less", show=False),
        Binding("pagedown", "change(8)", "much more", show=False),
        Binding("backspace,delete", "forget", "let it be planned", show=False),
    ]

    @dataclass
    class Changed(Message):
        """The user wants this value; None: let it be planned."""

        name: str
        value: Value | None

    @dataclass
    class Taken(Message):
        """The user takes the advice of this number."""

        index: int

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._fields: Sequence[OptionField] = ()
        self._advice: Sequence[str] = ()
        self._cursor = 0

    def show(self, fields: Sequence[OptionField], advice: Sequence[str] = ()) -> None:
        """Put the options and the advice in place; the cursor stays on its line."""
        self._fields, self._advice = fields, advice
        self._cursor = max(0, min(self._cursor, len(fields) + len(advice) - 1))
        self.lines_changed()

    def lay_out(self, width: int) -> Sequence[Content]:
        """A line for each option, then the advice."""
        lines = [
            field_line(field, here=index == self._cursor)
            for index, field in enumerate(self._fields)
        ]
        if self._advice:
            lines += [Content(), Content.styled("  what would help", ".options--auto")]
        for index, text in enumerate(self._advice, len(self._fields)):
            lines += advice_lines(text, width, here=index == self._cursor)
        return [line.truncate(width, ellipsis=True) for line in lines]

    def action_walk(self, step: int) -> None:
        """Go to another line; it stops at both ends."""
        last = len(self._fields) + len(self._advice) - 1
        self._cursor = max(0, min(self._cursor + step, last))
        self.lines_changed()

    def action_change(self, step: int) -> None:
        """Another value for the option under the cursor; on advice, take it."""
        if self._cursor >= len(self._fields):
            if self._advice and step > 0:
                self.post_message(self.Taken(self._cursor - len(self._fields)))
            return
        field = self._fields[self._cursor]
        value = field.moved(step)
        if value != field.now or not field.given:
            self.post_message(self.Changed(field.name, value))

    def action_forget(self) -> None:
        """Let the option under the cursor be planned again."""
        if self._cursor < len(self._fields):
            self.post_message(self.Changed(self._fields[self._cursor].name, None))
