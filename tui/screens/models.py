"""Models: every model of this machine with its verdict; the bill of the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.timer import Timer
from textual.types import CSSPathType
from textual.widgets import Input

from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, Source
from modeldeck.engines.units import gib_text, tokens_text
from modeldeck.tui.actions import Action, Place, key_name
from modeldeck.tui.bindings import bindings_of
from modeldeck.tui.fuzzy import best_matches
from modeldeck.tui.kept import Kept, keeps
from modeldeck.tui.messages import (
    CardAsked,
    ChatAsked,
    CommandAsked,
    DeletionAsked,
    DemoAsked,
    EngineWished,
    GridAsked,
    LoadOptionsAsked,
    OptionsAsked,
    RescanAsked,
    RowRested,
    UnloadAsked,
)
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.state import DeckState
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.model_detail import Detail, ModelDetail
from modeldeck.tui.widgets.model_rows import (
    COLUMNS,
    SORTS,
    Entry,
    MadeRows,
    size_text,
    sorted_entries,
)
from modeldeck.tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from modeldeck.engines.hardware.types import GpuProcess
    from modeldeck.tui.widgets.model_picker import ModelPicker

WIDE = 100
REST_S = 0.2
_DESCENDING = frozenset({"context", "speed"})
_WORDS = {
    Kept.FITS_AT_CONTEXT: "fits the card at this context",
    Kept.FITS: "fits the card at any context",
    Kept.RUNNABLE: "runs here",
}


class ModelsScreen(PlaceScreen):
    """The home of the deck."""

    PLACE: ClassVar[Place] = "models"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("models")
    CSS_PATH: ClassVar[CSSPathType | None] = ["place.tcss", "models.tcss"]

    rows = getters.query_one(RowList)
    detail = getters.query_one(ModelDetail)
    filter_field = getters.query_one("#filter", Input)
    options_line = getters.query_one("#options", Line)
    engines_line = getters.query_one("#engine-states", Line)

    def __init__(self, actions: tuple[Action, ...], state: DeckState) -> None:
        super().__init__(actions, state)
        self._sort = SORTS[0]
        self._query = ""
        self._rest: Timer | None = None
        self._made_rows = MadeRows()
        self._kept = Kept.ALL
        self._picked: Callable[[str], Message] | None = None

    def compose_body(self) -> ComposeResult:
        """Options above; the list beside the bill; the engines' states below."""
        with Horizontal(id="above"):
            yield Input(placeholder="/ filter", id="filter", compact=True, select_on_focus=False)
            yield Line(id="options")
        with Horizontal(id="middle"):
            with Vertical(id="left"):
                yield RowList(COLUMNS, id="model-list")
                yield Line(id="engine-states")
            with Vertical(id="detail-frame"):
                yield ModelDetail(id="detail")

    def on_mount(self) -> None:
        """The list takes the keys."""
        self.filter_field.cursor_blink = False
        self.rows.show_sorting(self._sort, descending=self._sort in _DESCENDING)
        self.rows.focus()

    def on_resize(self, event: Resize) -> None:
        """Below a hundred columns the bill folds to two lines under the list."""
        narrow = event.size.width < WIDE
        self.set_class(narrow, "-narrow")
        self.detail.set_class(narrow, "-short")
        self.detail.lines_changed()
        self._show_options()

    # Showing.

    def show_state(self, state: DeckState, before: DeckState) -> None:
        """Redraw what differs: rows are compared one by one."""
        listed = (state.models, state.verdicts, state.loaded, state.scanning, state.profiles)
        before_listed = (
            before.models,
            before.verdicts,
            before.loaded,
            before.scanning,
            before.profiles,
        )
        relisted = listed != before_listed or state is before
        if relisted:
            self._show_rows()
        self._show_options()
        self._show_engines()
        if relisted or self._rest is None:  # a moving cursor is followed when it rests
            self._show_detail()
            self.show_keys()

    def _show_rows(self) -> None:
        state = self.state
        loaded_id = state.loaded.model.id if state.loaded else None
        found = best_matches(self._query, state.models, lambda model: " ".join(model.names))
        entries: Sequence[Entry] = [
            Entry(model, verdict, model.id == loaded_id)
            for model in found
            for verdict in (state.verdicts.get(model.id),)
            if keeps(self._kept, model, verdict, self._has_engine)
        ]
        if not self._query:
            entries = sorted_entries(entries, self._sort)
        self.rows.set_rows(self._made_rows.of(entries))

    def _has_engine(self, model: LocalModel) -> bool:
        return not self.state.engines_found or self.state.engine_for(model).engine is not None

    def _show_options(self) -> None:
        state = self.state
        card = state.card
        judged_for = "card …" if card is None else "card this one"
        if card is not None and card.what_if:
            judged_for = f"what if {card.name}"
        total = sum(model.size_bytes for model in state.models)
        count = f"{len(state.models)} model{'' if len(state.models) == 1 else 's'}"
        if state.scanning:
            count += ", looking …"
        free = (
            f", {gib_text(card.free_bytes)} free" if card and not self.has_class("-narrow") else ""
        )
        every = self._kept is Kept.ALL
        parts = [
            f"ctx {tokens_text(state.options.context_tokens)}",
            f"kv {state.options.kv_type}",
            *(() if every else (f"only {self._kept}",)),  # a narrow screen cuts off what is last
            f"{judged_for}{free}",
            *((f"{count}  {size_text(total)}B",) if every else ()),
        ]
        self.options_line.show(Content("   ".join(parts)))

    def _show_engines(self) -> None:
        state = self.state
        parts: list[str | tuple[str, str]] = [" "]
        for status in state.engines:
            glyph, style = ("○" if status.missing else "…"), "$text-muted"
            if status.available:
                glyph, style = "●", "$text-success"
            elif status.probe is not None and not status.missing:
                glyph, style = "✕", "$text-error"
            parts += [(f"{status.info.name} ", "$text-muted"), (glyph, style), "  "]
        if state.loading is not None:
            loading = state.loading
            percent = loading.progress.fraction
            share = f" {percent:.0%}" if percent is not None else ""
            parts.append(f"loading {loading.model.name}: {loading.progress.stage}{share}")
        elif state.loaded is not None:
            parts.append((f"▶ {state.loaded.model.name}", "$text-success"))
        elif state.notes:
            parts.append((clean_line(state.notes[0]), "$text-muted"))
        self.engines_line.show(Content.assemble(*parts))

    def _show_detail(self) -> None:
        state = self.state
        model = state.model(self.rows.cursor_key or "")
        only_demo = all(found.source is Source.DEMO for found in state.models)
        if model is None or (only_demo and not state.scanning and state.loaded is None):
            self.detail.show(None, self._welcome())
            return
        loaded = state.loaded if state.loaded and state.loaded.model.id == model.id else None
        verdict = state.verdicts.get(model.id)
        choice = state.engine_for(model) if state.engines_found else None
        others: tuple[GpuProcess, ...] = ()
        if state.hardware is not None:
            from modeldeck.tui.cards import processes_of

            others = processes_of(state.hardware, own=False)
        took = (
            state.memory.took(loaded) if loaded is not None and state.memory is not None else None
        )
        shown = Detail(
            model, verdict, state.card, state.options, choice, loaded, others=others, took=took
        )
        if (profile := state.profile(model)) is not None:
            from modeldeck.engines.fit.options_text import summary

            shown = replace(shown, kept=summary(profile))
        self.detail.show(shown)

    def _welcome(self) -> tuple[Content, ...]:
        if self.state.scanning:
            return (Content.styled("Looking for models …", "$text-muted"),)
        if self._query:
            return (Content("Nothing matches the filter."), Content("esc clears it."))
        if self._kept is not Kept.ALL:
            return (Content(f"None of the models {_WORDS[self._kept]}."), Content("esc shows all."))
        demo = key_name(self.key_of("models.demo"))
        return (
            Content.styled("No models here yet.", "bold"),
            Content.assemble(
                (demo, "bold $primary"),
                " or ",
                ("enter", "bold $primary"),
                " chats with the demo model",
            ),
            Content(),
            Content("Folders looked in:"),
            *(Content(f"  {clean_line(place)}") for place in self.state.places),
            Content(),
            Content("More folders: model_dirs in the"),
            Content("settings."),
        )

    # The user.

    @on(RowList.Highlighted)
    def _highlighted(self) -> None:
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_S, self.follow_cursor)

    def follow_cursor(self) -> None:
        """Show the bill and the keys of the model that the cursor rests on."""
        self._rest = None
        self._show_detail()
        self.show_keys()
        if (key := self.rows.cursor_key) is not None:
            self.post_message(RowRested(key))

    @on(RowList.Selected)
    def _selected(self, event: RowList.Selected) -> None:
        self.post_message(ChatAsked(event.key))

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        self._query = clean_line(event.value)
        self._show_rows()
        if self.rows.rows:
            self.rows.action_edge(-1)

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.rows.focus()

    def leave(self) -> bool:
        """``esc``: clear the filter and give the keys back to the list."""
        if self.query("ModelPicker"):
            self._close_picker()
            return True
        if self._query or self.in_text_field:
            self.filter_field.value = ""
            self.rows.focus()
            return True
        if self._kept is not Kept.ALL:
            self._keep(Kept.ALL)
            return True
        return False

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        self._show_rows()
        self._show_options()
        self.follow_cursor()

    def is_valid(self, entry: Action) -> bool:
        """Only what makes sense for the row under the cursor."""
        state = self.state
        match entry.id:
            case (
                "models.chat"
                | "models.copy_command"
                | "models.engine"
                | "models.options"
                | "models.grid"
            ):
                model = state.model(self.rows.cursor_key or "") if self.ready else None
                return model is not None and model.problem is None
            case "models.delete":
                model = state.model(self.rows.cursor_key or "") if self.ready else None
                return model is not None and model.source is not Source.DEMO
            case "models.unload":
                return state.loaded is not None or state.loading is not None
            case _:
                return True

    def action_models_chat(self) -> None:
        """Load the model under the cursor and chat with it."""
        if self.rows.cursor_key is not None:
            self.post_message(ChatAsked(self.rows.cursor_key))

    def action_models_filter(self) -> None:
        """Type to filter."""
        self.filter_field.focus()

    def action_models_sort(self) -> None:
        """Sort by the next column."""
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self.rows.show_sorting(self._sort, descending=self._sort in _DESCENDING)
        self._show_rows()

    def action_models_context(self) -> None:
        """Verdicts for the next context."""
        self.post_message(OptionsAsked(self.state.options.next_context()))

    def action_models_kv(self) -> None:
        """Verdicts for the next type of KV cache."""
        self.post_message(OptionsAsked(self.state.options.next_kv()))

    def action_models_unload(self) -> None:
        """Give the memory back."""
        self.post_message(UnloadAsked())

    def action_models_rescan(self) -> None:
        """Look again."""
        self.post_message(RescanAsked())

    def action_models_copy_command(self) -> None:
        """Copy the exact command."""
        if self.rows.cursor_key is not None:
            self.post_message(CommandAsked(self.rows.cursor_key))

    def action_models_engine(self) -> None:
        """Choose the engine of the model under the cursor."""
        model = self.state.model(self.rows.cursor_key or "")
        if model is None:
            return
        from modeldeck.tui.widgets.engine_rows import engine_rows  # with the policy: 10 ms
        from modeldeck.tui.widgets.model_picker import ModelPicker

        rows = engine_rows(model, self.state.engines)
        wish = self.state.engine_wishes.get(model.name, "")
        self._open_picker(
            ModelPicker(rows, title=f"engine for {model.name}", current=wish),
            lambda key: EngineWished(model.id, key or None),
        )

    def action_models_card(self) -> None:
        """Choose the card that the verdicts are for."""
        from modeldeck.tui.widgets.card_rows import (
            card_rows,
            cards_row,
        )  # with the table of cards: 10 ms
        from modeldeck.tui.widgets.model_picker import ModelPicker

        card = self.state.card
        here = card.name if card is not None and not card.what_if else ""
        rows, current = card_rows(here), self.state.what_if_card
        picker = ModelPicker(rows, title="verdicts for", current=current, understood=cards_row)
        self._open_picker(picker, CardAsked)

    def action_models_options(self) -> None:
        """Change how the model under the cursor is loaded."""
        if self.rows.cursor_key is not None:
            self.post_message(LoadOptionsAsked(self.rows.cursor_key))

    def action_models_grid(self) -> None:
        """Every quantisation of the model under the cursor at every context."""
        if self.rows.cursor_key is not None:
            self.post_message(GridAsked(self.rows.cursor_key))

    def action_models_fits(self) -> None:
        """Cut the list down to what fits, to what runs, and back."""
        self._keep(self._kept.next())

    def _open_picker(self, picker: ModelPicker, picked: Callable[[str], Message]) -> None:
        self._close_picker()
        self._picked = picked
        self.query_one("#left", Vertical).mount(picker, before="#engine-states")

    def on_model_picker_picked(self, event: ModelPicker.Picked) -> None:
        """The row's key goes where the picker was opened for."""
        event.stop()
        self._close_picker()
        if self._picked is not None:
            self.post_message(self._picked(event.key))

    def on_model_picker_dismissed(self, event: ModelPicker.Dismissed) -> None:
        """Everything stays as it is."""
        event.stop()
        self._close_picker()

    def _close_picker(self) -> None:
        if pickers := self.query("ModelPicker"):
            pickers.remove()
            self.rows.focus()

    def action_models_delete(self) -> None:
        """Delete the model under the cursor; the deck asks first."""
        if self.rows.cursor_key is not None:
            self.post_message(DeletionAsked(self.rows.cursor_key))

    def action_models_demo(self) -> None:
        """Chat with the packaged model."""
        self.post_message(DemoAsked())
