"""The options of a load, one line each; the arrow keys change the one under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from modeldeck.tui.load_options import OptionField, Value
from modeldeck.tui.widgets.lines_view import LinesView

_LABEL = 16
_VALUE = 10


def field_line(field: OptionField, *, here: bool) -> Content:
    """One option: its name, its value between the arrows that still lead somewhere."""
    at_first, at_last = field.moved(-1) == field.now, field.moved(1) == field.now
    left, right = ("◂" if here and not at_first else " "), ("▸" if here and not at_last else " ")
    value = Content.styled(f"{field.text:^{_VALUE}}", "bold" if field.given else "")
    line = Content.assemble("▌ " if here else "  ", f"{field.label:<{_LABEL}}", f"{left} ", value)
    line += Content(f" {right} ")
    return line + Content.styled("" if field.given else "auto", ".options--auto")


class OptionFields(LinesView, can_focus=True):
    """The lines. ``Changed`` says what is wanted; ``show`` puts it in place."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"options--auto"}
    DEFAULT_CSS = """
    OptionFields {
        & > .options--auto { color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "walk(-1)", "the option above", show=False),
        Binding("down", "walk(1)", "the option below", show=False),
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

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._fields: Sequence[OptionField] = ()
        self._cursor = 0

    def show(self, fields: Sequence[OptionField]) -> None:
        """Put the fields in place; the cursor stays on its line."""
        self._fields = fields
        self._cursor = max(0, min(self._cursor, len(fields) - 1))
        self.lines_changed()

    def lay_out(self, width: int) -> Sequence[Content]:
        """A line for each field."""
        lines = [
            field_line(field, here=index == self._cursor)
            for index, field in enumerate(self._fields)
        ]
        return [line.truncate(width, ellipsis=True) for line in lines]

    def action_walk(self, step: int) -> None:
        """Go to another option; it stops at both ends."""
        self._cursor = max(0, min(self._cursor + step, len(self._fields) - 1))
        self.lines_changed()

    def action_change(self, step: int) -> None:
        """Another value for the option under the cursor."""
        if self._fields:
            field = self._fields[self._cursor]
            value = field.moved(step)
            if value != field.now or not field.given:
                self.post_message(self.Changed(field.name, value))

    def action_forget(self) -> None:
        """Let the option under the cursor be planned again."""
        if self._fields:
            self.post_message(self.Changed(self._fields[self._cursor].name, None))
