"""Asks for the path of an image, inside the screen, and reads it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from modeldeck.engines.chat import Image
from modeldeck.engines.images import ImageError, read_image
from modeldeck.tui.paths_typed import completed, typed_path
from modeldeck.tui.widgets.line import Line


class PathSuggester(Suggester):
    """Goes on with a path as the folders on the disk have it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The whole path, or None."""
        return await asyncio.to_thread(completed, value)


class ImageField(Vertical):
    """A field for a path, and below it what is wrong with the path."""

    DEFAULT_CSS = """
    ImageField {
        height: auto;
        border: round $primary;
        border-title-color: $primary;
        padding: 0 1;
        background: $surface;
        & Input, & Input:focus { border: none; height: 1; padding: 0; background: transparent; }
        & Line { display: none; color: $text-error; text-style: bold; }
        &.-problem Line { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "take the path that is offered", show=False, priority=True),
        Binding("escape", "dismiss", "close", show=False),
    ]

    @dataclass
    class Attached(Message):
        """The image that was chosen; ``typed`` is how its path was written."""

        image: Image
        typed: str

    class Dismissed(Message):
        """The user wants no image."""

    field = getters.query_one(Input)
    problem = getters.query_one(Line)

    def __init__(self, path: str = "") -> None:
        """Ask for an image; ``path`` stands in the field to begin with."""
        super().__init__()
        self._path = path
        self.border_title = Content("attach an image")
        self.border_subtitle = Content("tab complete   enter attach   esc close")

    def compose(self) -> ComposeResult:
        """The field above the problem."""
        yield Input(
            self._path,
            placeholder="path of a PNG, JPEG, WebP or GIF",
            suggester=PathSuggester(),
            select_on_focus=False,
        )
        yield Line()

    def on_mount(self) -> None:
        """Ready to type."""
        self.field.cursor_blink = False
        self.field.focus()

    def action_complete(self) -> None:
        """Take what is offered."""
        self.field.action_end()
        self.field.action_cursor_right()

    def action_dismiss(self) -> None:
        """Close without an image."""
        self.post_message(self.Dismissed())

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.remove_class("-problem")

    @on(Input.Submitted)
    async def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        path = typed_path(event.value)
        if path is None:
            return
        try:
            image = await asyncio.to_thread(read_image, path)
        except ImageError as error:
            self.problem.show(Content(f"✕ {error.cause} {error.next_step}"))
            self.add_class("-problem")
        else:
            self.post_message(self.Attached(image, event.value))
