"""Conversations: what was said before, the newest first, and a search through every message."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.content import Content
from textual.events import Resize
from textual.types import CSSPathType
from textual.widgets import Input

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.store.conversation_list import Listed
from modeldeck.tui import messages
from modeldeck.tui.actions import Action, Place
from modeldeck.tui.bindings import bindings_of
from modeldeck.tui.library import Found, Library, saved_text
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.state import DeckState
from modeldeck.tui.talk import Talk
from modeldeck.tui.widgets.conversation_rows import ConversationRows, Widths, heading
from modeldeck.tui.widgets.line import Line

_TAKEN = frozenset({"ctrl+d", "ctrl+e"})


def _without_our_keys(bindings: list[BindingType]) -> list[BindingType]:
    """A field's own bindings without the keys that mean something else here."""
    kept: list[BindingType] = []
    for binding in bindings:
        if isinstance(binding, Binding):
            keys = [key for key in binding.key.split(",") if key.strip() not in _TAKEN]
            if keys:
                kept.append(Binding(",".join(keys), binding.action, show=False))
    return kept


class Field(Input, inherit_bindings=False):
    """A text field on one line that leaves the keys of the list alone."""

    BINDINGS: ClassVar[list[BindingType]] = _without_our_keys(Input.BINDINGS)
    DEFAULT_CSS = """
    Field, Field:focus { border: none; height: 1; padding: 0; }
    """

    def on_mount(self) -> None:
        """No blinking."""
        self.cursor_blink = False


class ConversationsScreen(PlaceScreen):
    """The list, what is searched in it, and the name being given to one of its rows."""

    PLACE: ClassVar[Place] = "conversations"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_of("conversations"),
        Binding("up", "move(-1)", "the row above", show=False),
        Binding("down", "move(1)", "the row below", show=False),
        Binding("pageup", "page(-1)", "a page up", show=False),
        Binding("pagedown", "page(1)", "a page down", show=False),
    ]
    CSS_PATH: ClassVar[CSSPathType | None] = ["place.tcss", "conversations.tcss"]

    search = getters.query_one("#search", Field)
    count = getters.query_one("#count", Line)
    heading = getters.query_one("#heading", Line)
    rows = getters.query_one(ConversationRows)

    def __init__(
        self, actions: tuple[Action, ...], state: DeckState, talk: Talk, library: Library
    ) -> None:
        super().__init__(actions, state)
        self._talk = talk
        self._library = library
        self._searched = ""

    def compose_body(self) -> ComposeResult:
        """The search above the rows."""
        with Horizontal(id="above"):
            yield Field(placeholder="search every message", id="search", select_on_focus=False)
            yield Line(id="count")
        yield Line(id="heading")
        with Container(id="listed"):
            yield ConversationRows()

    def on_screen_resume(self) -> None:
        """Look again: another deck may have written meanwhile."""
        self.search.focus()
        self._find()

    def on_resize(self, event: Resize) -> None:
        """The columns follow the width."""
        self.heading.show(heading(event.size.width))

    def show_state(self, state: DeckState, before: DeckState) -> None:
        """Nothing here depends on models or machine."""

    # What is found.

    def _find(self) -> None:
        self._library.find(self.search.value, self._show, self._failed)

    @on(Input.Changed, "#search")
    def _typed(self) -> None:
        self.rows.ask_to_delete(False)
        self._find()

    def _show(self, found: Found) -> None:
        if not self.ready:
            return
        number, searched = len(found.conversations), bool(found.typed.strip())
        plural = "" if number == 1 else "s"
        words = "found" if searched else f"conversation{plural}, the newest first"
        self.count.show(Content.styled(f"{number} {words} ", "$text-muted"))
        self.rows.show(
            found.conversations,
            "Nobody said that: backspace." if searched else "Nothing is kept yet: ask something.",
        )
        if searched and found.typed != self._searched:
            self.rows.first()
        self._searched = found.typed
        self.show_keys()

    def _failed(self, error: ModeldeckError) -> None:
        self.post_message(messages.NoticeGiven(error.cause, error.next_step, True))
        self._find()

    # The user.

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self._stop_renaming()
        self.rows.move(step)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._stop_renaming()
        self.rows.page(pages)

    @on(Input.Submitted, "#search")
    @on(ConversationRows.Chosen)
    def action_conversations_open(self) -> None:
        """Show the conversation in Chat and go on with it."""
        here = self._free_row()
        if here is None:
            return
        held = self._talk.conversation
        if held is not None and held.id == here.id:
            self.post_message(messages.PlaceAsked("chat"))
        elif self._talk.busy:
            self.post_message(
                messages.NoticeGiven("An answer is being written in Chat.", "Stop it there first.")
            )
        else:
            self._library.check(here.id, lambda: self._open(here.id), self._failed)

    def _free_row(self) -> Listed | None:
        """The row under the cursor, unless it asks something; then it asks no more."""
        asking = self.rows.deleting or bool(self.query("#rename"))
        self.rows.ask_to_delete(False)
        self._stop_renaming()
        return None if asking else self.rows.here

    def _open(self, conversation_id: int) -> None:
        self._talk.open(conversation_id)
        self.post_message(messages.PlaceAsked("chat"))

    def leave(self) -> bool:
        """``esc``: ask no more, name no more, search no more, then back to Chat."""
        if self.rows.deleting:
            self.rows.ask_to_delete(False)
        elif self.query("#rename"):
            self._stop_renaming()
        elif self.search.value:
            self.search.value = ""
        else:
            self.post_message(messages.PlaceAsked("chat"))
        return True

    def is_valid(self, entry: Action) -> bool:
        """What is done to a row needs one."""
        if entry.place != "conversations":
            return True
        return self.ready and self.rows.here is not None

    # Naming.

    async def action_conversations_rename(self) -> None:
        """Edit the title where it stands."""
        here = self._free_row()
        if here is None:
            return
        field = Field(here.title, id="rename", select_on_focus=False)
        field.styles.offset = self.rows.place_of_cursor
        field.styles.width = Widths.at(self.size.width).title
        self.count.show(Content.styled("enter gives the name, esc keeps ", "$text-muted"))
        await self.query_one("#listed").mount(field)
        field.focus()

    def _stop_renaming(self) -> None:
        if self.query("#rename"):
            self.query("#rename").remove()
            self.search.focus()
            self._find()

    @on(Input.Submitted, "#rename")
    def _named(self, event: Input.Submitted) -> None:
        here = self.rows.here
        self._stop_renaming()
        if here is not None:
            self._library.rename(here.id, event.value, self._find, self._failed)

    # Deleting and saving.

    def action_conversations_delete(self) -> None:
        """Ask in the row; the same key again deletes."""
        here, asked = self.rows.here, self.rows.deleting
        self._stop_renaming()
        self.rows.ask_to_delete(not asked)
        if here is not None and asked:
            self._library.delete(here.id, lambda: self._deleted(here.id), self._failed)

    def _deleted(self, conversation_id: int) -> None:
        held = self._talk.conversation
        if held is not None and held.id == conversation_id:
            self._talk.new()
        self._find()

    def action_conversations_export(self) -> None:
        """Write the conversation to files and say where they are."""
        here = self._free_row()
        if here is not None:
            self._library.export(here.id, self._exported, self._failed)

    def _exported(self, paths: tuple[Path, Path]) -> None:
        self.post_message(messages.NoticeGiven(saved_text(paths)))
