"""Hub: models that could be had, searched and judged from their headers alone."""

from __future__ import annotations

import shlex
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.timer import Timer
from textual.types import CSSPathType
from textual.widgets import Input

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.text import clean_line
from modeldeck.tui.actions import Action, Place
from modeldeck.tui.bindings import bindings_of
from modeldeck.tui.hub_desk import HubDesk
from modeldeck.tui.hub_state import Asked, HubState, Opened, Repository, Source, Variant
from modeldeck.tui.messages import CopyAsked, NoticeGiven, OverlayAsked, PullsAsked
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.state import DeckState
from modeldeck.tui.widgets.hub_detail import HubDetail, Shown
from modeldeck.tui.widgets.hub_rows import (
    REPOSITORY_COLUMNS,
    VARIANT_COLUMNS,
    repository_row,
    variant_row,
)
from modeldeck.tui.widgets.hub_text import asked_line, said_line
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.row_list import RowList

WIDE = 100
REST_S = 0.2
TYPED_S = 0.6
"""A pause in typing after which is searched; the Hub counts every request."""
NEAR_END = 10
"""So many rows before the last one the next part of the answer is asked for."""
_OF_LIST = frozenset({"hub.open", "hub.kind", "hub.sort", "hub.source"})
_OF_HUB = frozenset({"hub.kind", "hub.sort"})
_OF_VARIANTS = frozenset({"hub.mark", "hub.pull"})


class HubScreen(PlaceScreen):
    """A list of repositories, and in its place the variants of the one that is opened."""

    PLACE: ClassVar[Place] = "hub"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("hub")
    CSS_PATH: ClassVar[CSSPathType | None] = ["place.tcss", "hub.tcss"]

    search = getters.query_one("#search", Input)
    asked_line = getters.query_one("#asked", Line)
    repositories = getters.query_one("#repositories", RowList)
    variants = getters.query_one("#variants", RowList)
    said = getters.query_one("#said", Line)
    detail = getters.query_one(HubDetail)

    def __init__(self, actions: tuple[Action, ...], state: DeckState, desk: HubDesk) -> None:
        super().__init__(actions, state)
        self._desk = desk
        self._rest: Timer | None = None
        self._typed: Timer | None = None
        self._drawn: HubState | None = None

    @property
    def hub(self) -> HubState:
        """What the place knows now."""
        return self._desk.state

    def compose_body(self) -> ComposeResult:
        """The search above; the list beside the pane; what came of it below the list."""
        with Horizontal(id="above"):
            yield Input(placeholder="/ search", id="search", compact=True, select_on_focus=False)
            yield Line(id="asked")
        with Horizontal(id="middle"):
            with Vertical(id="left"):
                yield RowList(REPOSITORY_COLUMNS, id="repositories")
                yield RowList(VARIANT_COLUMNS, id="variants")
                yield Line(id="said")
            with Vertical(id="detail-frame"):
                yield HubDetail(id="detail")

    def on_mount(self) -> None:
        """The list takes the keys; what is in fashion is looked for at once."""
        self.search.cursor_blink = False
        self.repositories.focus()
        self._desk.listen(self._show_hub)
        if self.hub == HubState():
            self._desk.search(Asked())

    def on_resize(self, event: Resize) -> None:
        """Below a hundred columns the pane folds to two lines under the list."""
        narrow = event.size.width < WIDE
        self.set_class(narrow, "-narrow")
        self.detail.set_class(narrow, "-short")
        self.detail.lines_changed()

    # Showing.

    def show_state(self, state: DeckState, before: DeckState) -> None:
        """Another context, cache or card is another verdict."""
        self._desk.judge_for(state.options, state.card)
        if state is before or (state.options, state.card) != (before.options, before.card):
            self._show_hub(self.hub)

    def _show_hub(self, hub: HubState) -> None:
        if not self.ready:
            return
        drawn, self._drawn = self._drawn, hub
        now = self._desk.now()
        if drawn is None or hub.found is not drawn.found:
            self.repositories.set_rows(tuple(repository_row(one, now) for one in hub.found))
        if hub.opened is not None and (drawn is None or hub.opened is not drawn.opened):
            self._show_variants(hub.opened, new=drawn is None or drawn.opened is None)
        if self.has_class("-opened") != (hub.opened is not None):
            self.set_class(hub.opened is not None, "-opened")
            self.rows.focus()
        self.asked_line.show(asked_line(hub, self.state.options))
        self.said.show(said_line(hub, now))
        if self._rest is None:
            self._show_detail()
            self.show_keys()

    def _show_variants(self, opened: Opened, *, new: bool) -> None:
        before = self.variants.cursor_key
        self.variants.set_rows(tuple(variant_row(one, opened) for one in opened.variants))
        if new and self.variants.rows:
            self.variants.action_edge(-1)
        if opened.best is not None and not opened.touched and before == self._first_key:
            self.variants.move_to(opened.best.target)

    @property
    def _first_key(self) -> str | None:
        return self.variants.rows[0].key if self.variants.rows else None

    def _show_detail(self) -> None:
        opened = self.hub.opened
        shown = Shown(
            self.hub.asked.source,
            self._about,
            (self._desk.now() // 60 + 1) * 60,
            opened,
            self._variant,
            self.state.card,
            self.state.options,
        )
        self.detail.show(shown)

    @property
    def rows(self) -> RowList:
        """The list that is shown now."""
        return self.variants if self.hub.opened is not None else self.repositories

    @property
    def _repository(self) -> Repository | None:
        return self.hub.repository(self.repositories.cursor_key)

    @property
    def _about(self) -> Repository | None:
        opened = self.hub.opened
        return opened.repository if opened is not None else self._repository

    @property
    def _variant(self) -> Variant | None:
        opened = self.hub.opened
        return opened.variant(self.variants.cursor_key) if opened is not None else None

    # The user.

    @on(RowList.Highlighted)
    def _highlighted(self) -> None:
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_S, self._follow_cursor)
        if self.repositories.cursor_index >= len(self.repositories.rows) - NEAR_END:
            self._desk.more()

    def _follow_cursor(self) -> None:
        self._rest = None
        self._show_detail()
        self.show_keys()

    @on(Input.Changed, "#search")
    def _search_soon(self) -> None:
        if self._typed is not None:
            self._typed.stop()
        self._typed = self.set_timer(TYPED_S, self._search_now)

    @on(Input.Submitted, "#search")
    def _submitted(self) -> None:
        self._search_now()
        self.rows.focus()

    def _search_now(self) -> None:
        if self._typed is not None:
            self._typed.stop()
            self._typed = None
        text = clean_line(self.search.value)
        if text != self.hub.asked.text:
            self._ask(self.hub.asked._replace(text=text))

    def _ask(self, asked: Asked) -> None:
        self._desk.search(asked)
        self.repositories.action_edge(-1)

    def leave(self) -> bool:
        """``esc``: out of the field, then out of the repository."""
        if self.in_text_field:
            self.rows.focus()
        elif self.hub.opened is not None:
            self._desk.close()
        else:
            return False
        return True

    def is_valid(self, entry: Action) -> bool:
        """Only what makes sense where the cursor is."""
        if entry.place != "hub" or not self.ready:
            return True
        opened = self.hub.opened
        if entry.id in _OF_LIST and opened is not None:
            return False
        if entry.id in _OF_HUB:
            return self.hub.asked.source is Source.HUB
        if entry.id in _OF_VARIANTS:
            return self._variant is not None
        if entry.id in ("hub.open", "hub.card", "hub.copy_command"):
            return opened is not None or self._repository is not None
        return True

    def action_hub_search(self) -> None:
        """Type to search."""
        self._desk.close()
        self.search.focus()

    @on(RowList.Selected, "#repositories")
    def action_hub_open(self) -> None:
        """Look into the repository under the cursor."""
        repository = self._repository
        if repository is not None and self.hub.opened is None:
            self._desk.open(repository)

    @on(RowList.Selected, "#variants")
    def action_hub_mark(self) -> None:
        """Mark the variant under the cursor, or take its mark away."""
        if (variant := self._variant) is not None:
            self._desk.mark(variant.target)

    def action_hub_pull(self) -> None:
        """Download what is marked; without a mark, what is under the cursor."""
        opened, variant = self.hub.opened, self._variant
        if opened is not None and variant is not None:
            chosen = opened.chosen or (variant,)
            self.post_message(PullsAsked(tuple(one.target for one in chosen)))

    def action_hub_kind(self) -> None:
        """Cut down to the next format."""
        if self.hub.asked.source is Source.HUB:
            self._ask(self.hub.asked.next_kind())

    def action_hub_sort(self) -> None:
        """Ask for the next order."""
        if self.hub.asked.source is Source.HUB:
            self._ask(self.hub.asked.next_sort())

    def action_hub_source(self) -> None:
        """Look in the other place."""
        self._ask(self.hub.asked.elsewhere())

    def action_hub_card(self) -> None:
        """Fetch the model card and show it."""
        repository = self._about
        if repository is None:
            return
        name = repository.name
        self.post_message(NoticeGiven(f"Fetching the model card of {clean_line(name)} …"))
        self._desk.read_card(name, lambda text: self._show_card(name, text), self._failed)

    def _show_card(self, name: str, text: str) -> None:
        from modeldeck.tui.screens.hub_pages import CardOverlay  # Markdown: 40 ms

        self.post_message(NoticeGiven(""))
        if self.is_current:
            self.post_message(OverlayAsked(CardOverlay(name, text)))

    def _failed(self, error: ModeldeckError) -> None:
        self.post_message(NoticeGiven(error.cause, error.next_step, True))

    def action_hub_links(self) -> None:
        """Show where to read on."""
        from modeldeck.tui.screens.hub_pages import LinksOverlay

        self.post_message(OverlayAsked(LinksOverlay()))

    def action_hub_copy_command(self) -> None:
        """Copy the command that downloads the variant, or the usual one of the repository."""
        variant, repository = self._variant, self._repository
        if variant is not None:
            target = variant.target
        elif repository is not None:
            target = f"{_PREFIX[self.hub.asked.source]}{repository.name}"
        else:
            return
        self.post_message(CopyAsked(shlex.join(("modeldeck", "pull", target)), "the command"))


_PREFIX = {Source.HUB: "hf:", Source.OLLAMA: "ollama:"}
