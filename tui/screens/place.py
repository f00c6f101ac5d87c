"""The frame that every place of the deck shares."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from textual import getters
from textual.app import ComposeResult
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen

from modeldeck.tui.actions import Action, Place, action, actions_of, key_name
from modeldeck.tui.state import DeckState
from modeldeck.tui.widgets.chrome import TopBar, keys_line, notice_line
from modeldeck.tui.widgets.line import Line


class PlaceScreen(Screen[None]):
    """Top bar, the place's own body, the notice line and the keys that work now.

    The deck's state comes down through ``show_state``; what the user wants goes up as messages.
    """

    PLACE: ClassVar[Place]
    AUTO_FOCUS = ""

    top_bar = getters.query_one(TopBar)
    notice = getters.query_one("#notice", Line)
    keys = getters.query_one("#keys", Line)

    def __init__(self, actions: tuple[Action, ...], state: DeckState) -> None:
        """Make the place.

        Args:
            actions: every action with the user's own keys.
            state: what the deck knows now.
        """
        super().__init__()
        self._all_actions = actions
        self.state = state
        self.ready = False
        self._whole = 0

    def compose(self) -> ComposeResult:
        """The frame, with the body between its bars."""
        yield TopBar(self.PLACE, self._all_actions)
        yield from self.compose_body()
        yield Line(id="notice")
        yield Line(id="keys")

    @abstractmethod
    def compose_body(self) -> ComposeResult:
        """The place's own widgets."""

    @abstractmethod
    def show_state(self, state: DeckState, before: DeckState) -> None:
        """Show what changed between ``before`` and ``state``. Called once mounted."""

    def on_mount(self) -> None:
        """Draw the first state, then follow the focus for the key line.

        Textual calls this besides the place's own ``on_mount``, and after it.
        """
        self.ready = True
        self._whole = len(self.children)
        self.take_state(self.state)
        self.watch(self, "focused", self.show_keys, init=False)
        self.watch(self, "focused", self.show_notice, init=False)
        self.show_keys()

    def on_resize(self, event: Resize) -> None:
        """Show as many keys as the new width takes."""
        self.show_keys()
        self.show_notice()

    def take_state(self, state: DeckState) -> None:
        """Keep ``state`` and, when mounted, draw it."""
        before, self.state = self.state, state
        if not self.ready or len(self.children) < self._whole:
            return  # not yet drawn, or already being taken down
        self.top_bar.show_pulls(state.pulls)
        self.top_bar.show_hardware(state.hardware, state.slow_ms)
        self.show_notice()
        self.show_state(state, before)

    def show_notice(self) -> None:
        """Show the deck's notice, with the keys that do what it says from where the focus is."""
        if not self.ready or not self.query("#notice"):
            return
        log, retry = self.way_to("everywhere.log"), self.way_to_retry()
        width = self.size.width - 2
        line = notice_line(self.state.notice, width, log_keys=log, retry_keys=retry)
        self.notice.show(line)

    def way_to(self, action_id: str) -> str:
        """What to press for an action: from a text field, ``esc`` before a key that types."""
        key = key_name(self.key_of(action_id))
        entry = next(entry for entry in self._all_actions if entry.id == action_id)
        return key if self.works_now(entry) else f"esc {key}"

    def way_to_retry(self) -> str:
        """What to press to load again what failed; the chat has the key for it."""
        keys = (self.way_to("everywhere.chat"), key_name(self.key_of("chat.retry")))
        return " ".join(keys)

    def key_of(self, action_id: str) -> str:
        """The first key of an action, the user's own when it was changed."""
        keys = next(entry.keys for entry in self._all_actions if entry.id == action_id)
        return keys[0] if keys else ""

    @property
    def in_text_field(self) -> bool:
        """Whether keys are typed into a text field now."""
        return self.focused is not None and self.focused.check_consume_key("a", "a")

    def valid_actions(self) -> tuple[Action, ...]:
        """The actions whose keys do something now, the place's own first."""
        names = {entry.id for entry in actions_of(self.PLACE)}
        own = [a for a in self._all_actions if a.id in names and a.place == self.PLACE]
        rest = [a for a in self._all_actions if a.id in names and a.place != self.PLACE]
        return tuple(a for a in (*own, *rest) if self.works_now(a) and self.is_valid(a))

    def leave(self) -> bool:
        """``esc``: leave what can be left. Returns whether there was anything."""
        return False

    def palette_actions(self) -> tuple[Action, ...]:
        """The actions the palette offers: valid ones, whether or not a text field has the focus."""
        names = {entry.id for entry in actions_of(self.PLACE)}
        return tuple(a for a in self._all_actions if a.id in names and self.is_valid(a))

    def works_now(self, entry: Action) -> bool:
        """Whether the focus lets the action's key through: letters belong to a text field."""
        if not self.in_text_field:
            return True
        return any(len(key) > 1 and key not in _PRINTABLE for key in entry.keys)

    def is_valid(self, entry: Action) -> bool:
        """Whether the action makes sense in the place's present state."""
        return True

    def show_keys(self) -> None:
        """Redraw the key line for the focus and state of now."""
        if self.ready and self.query(TopBar):
            self.keys.show(keys_line(self.valid_actions(), self.size.width))

    def help_lines(self) -> Iterable[Content]:
        """One line for each key that works now."""
        for entry in self.valid_actions():
            keys = " ".join(key_name(key) for key in entry.keys)
            yield Content.assemble((f" {keys:<14}", "bold $primary"), f" {entry.description}")


_PRINTABLE = frozenset({"question_mark", "slash", "space"})


def label_of(action_id: str) -> str:
    """The label of an action, for titles."""
    return action(action_id).label
