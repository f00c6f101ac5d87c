"""Pulls: what is being downloaded, what waits, what has ended and what went wrong."""

from __future__ import annotations

from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.types import CSSPathType
from textual.widgets import Input

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.pulls.types import PullProgress, PullState
from modeldeck.engines.units import parse_size
from modeldeck.tui.actions import Action, Place, key_name
from modeldeck.tui.bindings import bindings_of
from modeldeck.tui.messages import NoticeGiven
from modeldeck.tui.pulls_desk import PullsDesk
from modeldeck.tui.pulls_state import PullsState, total_of
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.state import DeckState
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.model_rows import size_text
from modeldeck.tui.widgets.pull_detail import PullDetail
from modeldeck.tui.widgets.pull_rows import (
    COLUMNS,
    percent_text,
    pull_row,
    rate_text,
    time_text,
)
from modeldeck.tui.widgets.row_list import RowList

WIDE = 100
_OF_PULL = frozenset({"pulls.pause", "pulls.cancel", "pulls.first"})
_RETRIED = frozenset({PullState.FAILED, PullState.CANCELLED, PullState.WAITING})


class PullsScreen(PlaceScreen):
    """The list, the sum below it, the pull under the cursor beside it."""

    PLACE: ClassVar[Place] = "pulls"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("pulls")
    CSS_PATH: ClassVar[CSSPathType | None] = ["place.tcss", "pulls.tcss"]

    rows = getters.query_one(RowList)
    said = getters.query_one("#said", Line)
    limit = getters.query_one("#limit", Input)
    detail = getters.query_one(PullDetail)

    def __init__(self, actions: tuple[Action, ...], state: DeckState, desk: PullsDesk) -> None:
        super().__init__(actions, state)
        self._desk = desk

    @property
    def pulls(self) -> PullsState:
        """What the place knows now."""
        return self._desk.state

    def compose_body(self) -> ComposeResult:
        """The list beside the pane; the sum, or the limit being written, below it."""
        with Horizontal(id="middle"):
            with Vertical(id="left"):
                yield RowList(COLUMNS, id="pull-list")
                yield Line(id="said")
                yield Input(
                    placeholder="limit a second, like 20MB; empty for none",
                    id="limit",
                    compact=True,
                    select_on_focus=False,
                )
            with Vertical(id="detail-frame"):
                yield PullDetail(id="detail")

    def on_mount(self) -> None:
        """The list takes the keys."""
        self.limit.cursor_blink = False
        self.rows.focus()
        self._desk.listen(self._show_pulls)
        self._desk.watch()

    def on_resize(self, event: Resize) -> None:
        """Below a hundred columns the pane folds to two lines under the list."""
        narrow = event.size.width < WIDE
        self.set_class(narrow, "-narrow")
        self.detail.set_class(narrow, "-short")
        self.detail.lines_changed()

    # Showing.

    def show_state(self, state: DeckState, before: DeckState) -> None:
        """Nothing here depends on models or machine."""
        if state is before:
            self._show_pulls(self.pulls)

    def _show_pulls(self, pulls: PullsState) -> None:
        if not self.ready or not self.query("#said"):
            return
        self.rows.set_rows(tuple(pull_row(one) for one in pulls.pulls))
        self.said.show(self._said(pulls))
        self._show_detail()
        self.show_keys()

    def _show_detail(self) -> None:
        moving = bool(self.pulls.to_do)
        now = self._desk.now()
        at = now if moving else now // 60 * 60
        self.detail.show(self._pull, at, self._welcome())

    def _welcome(self) -> tuple[Content, ...]:
        hub = key_name(self.key_of("everywhere.hub"))
        return (
            Content.styled("Nothing is being pulled.", "bold"),
            Content.assemble((hub, "bold $primary"), " finds models and marks what fits"),
            Content(),
            Content("or from the shell:"),
            Content("  modeldeck pull hf:owner/name:Q4_K_M"),
        )

    def _said(self, pulls: PullsState) -> Content:
        if pulls.trouble is not None:
            trouble = pulls.trouble
            return Content.assemble((f"✕ {trouble.cause}", "bold $error"), f" {trouble.next_step}")
        asked = pulls.pull(pulls.asking)
        if asked is not None:
            key = key_name(self.key_of("pulls.cancel"))
            return Content.assemble(
                ("cancel it and give up what has come? ", "bold $text-warning"),
                (key, "bold $primary"),
                " yes   ",
                ("esc", "bold $primary"),
                " no",
            )
        limit = pulls.limit_bytes_per_second
        limited = [f"limit {rate_text(limit)}"] if limit else []
        return Content.styled("   ".join([*_sum(pulls), *limited]), "$text-muted")

    @property
    def _pull(self) -> PullProgress | None:
        return self.pulls.pull(self.rows.cursor_key)

    # The user.

    @on(RowList.Highlighted)
    def _highlighted(self, event: RowList.Highlighted) -> None:
        if event.key != self.pulls.asking:
            self._desk.keep()
        self._show_detail()
        self.show_keys()

    def leave(self) -> bool:
        """``esc``: cancel nothing, limit nothing."""
        if self.pulls.asking:
            self._desk.keep()
        elif self.has_class("-limiting"):
            self._stop_limiting()
        else:
            return False
        return True

    def is_valid(self, entry: Action) -> bool:
        """Only what makes sense for the pull under the cursor."""
        pull = self._pull if self.ready else None
        if entry.id in _OF_PULL:
            return pull is not None and not pull.state.is_final
        if entry.id == "pulls.retry":
            return pull is not None and pull.state in _RETRIED
        if entry.id == "pulls.clear":
            return any(one.state.is_final for one in self.pulls.pulls)
        return True

    def action_pulls_pause(self) -> None:
        """Pause, or go on."""
        if (pull := self._pull) is not None:
            self._desk.pause_or_resume(pull.id)

    def action_pulls_retry(self) -> None:
        """Try again at once."""
        if (pull := self._pull) is not None and pull.state in _RETRIED:
            self._desk.retry(pull.id)

    def action_pulls_cancel(self) -> None:
        """Ask below the list; the same key again cancels."""
        if (pull := self._pull) is not None:
            self._desk.cancel(pull.id)

    def action_pulls_first(self) -> None:
        """Do this one before the others."""
        pull = self._pull
        if pull is not None and not pull.state.is_final:
            self._desk.first(pull.id)

    def action_pulls_clear(self) -> None:
        """Forget what has ended."""
        self._desk.clear()

    def action_pulls_limit(self) -> None:
        """Write a limit below the list."""
        limit = self.pulls.limit_bytes_per_second
        self.limit.value = f"{limit / 1e6:g}MB" if limit else ""
        self.add_class("-limiting")
        self.limit.focus()

    @on(Input.Submitted, "#limit")
    def _limited(self, event: Input.Submitted) -> None:
        text = event.value.strip().removesuffix("/s").strip()
        try:
            limit = parse_size(text) if text else None
        except SettingsError as error:
            self.post_message(NoticeGiven(error.cause, error.next_step, True))
            return
        self._stop_limiting()
        self._desk.limit(limit or None)

    def _stop_limiting(self) -> None:
        self.remove_class("-limiting")
        self.rows.focus()


def _sum(pulls: PullsState) -> list[str]:
    """All that is to be done, together; how many have ended where nothing is."""
    to_do = pulls.to_do
    if not to_do:
        ended = len(pulls.pulls)
        return [f"{ended} ended"] if ended else []
    total = total_of(to_do)
    size = f" of {size_text(total.total_bytes)}B" if total.total_bytes is not None else "B"
    said = [f"{len(to_do)} to do", f"{size_text(total.done_bytes)}{size}"]
    if percent := percent_text(total.done_bytes, total.total_bytes):
        said.append(percent)
    if total.bytes_per_second is not None:
        said.append(rate_text(total.bytes_per_second))
    if total.seconds_left is not None:
        said.append(f"{time_text(total.seconds_left)} left")
    return said
