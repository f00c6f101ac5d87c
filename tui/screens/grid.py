"""Grid: one model in every quantisation at every context, for the card the deck judges for."""

from __future__ import annotations

from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.types import CSSPathType

from modeldeck.engines.fit.grid import Cell, grid
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.variants import contexts_for, variants
from modeldeck.engines.types import LocalModel
from modeldeck.engines.units import gib_text, tokens_text
from modeldeck.tui.actions import Action, Place
from modeldeck.tui.bindings import bindings_of
from modeldeck.tui.messages import CommandAsked, LoadAsked, PlaceAsked
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.state import DeckState
from modeldeck.tui.widgets.grid_view import GridView, VariantRow
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.model_rows import short_name


class GridScreen(PlaceScreen):
    """The grid, and the sentence of the cell under the cursor below it."""

    PLACE: ClassVar[Place] = "grid"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("grid")
    CSS_PATH: ClassVar[CSSPathType | None] = ["place.tcss", "grid.tcss"]

    title_line = getters.query_one("#of", Line)
    view = getters.query_one(GridView)
    sentence = getters.query_one("#sentence", Line)
    hint = getters.query_one("#hint", Line)

    def __init__(self, actions: tuple[Action, ...], state: DeckState) -> None:
        super().__init__(actions, state)
        self._model: LocalModel | None = None
        self._rows: tuple[VariantRow, ...] = ()
        self._contexts: tuple[int, ...] = ()

    def open(self, model: LocalModel) -> None:
        """Begin in the cell of this very file at the deck's context."""
        self._model = model
        self._show(at_model=True)

    def compose_body(self) -> ComposeResult:
        """The model and the card, the grid, what the cell means."""
        yield Line(id="of")
        yield GridView(id="view")
        yield Line(id="sentence")
        yield Line(id="hint")

    def on_mount(self) -> None:
        """The grid takes the keys."""
        super().on_mount()
        self.view.focus()
        self._show(at_model=True)

    def show_state(self, state: DeckState, before: DeckState) -> None:
        """Another card, or another file, is another grid."""
        if state.card != before.card or state.models is not before.models or state is before:
            self._show(at_model=False)

    def _show(self, *, at_model: bool) -> None:
        model = self._model
        card = self.state.card_for(model) if model is not None else None
        if not self.ready or model is None or model.header is None or card is None:
            return
        self._contexts = contexts_for(model.header)
        found = variants(model, self.state.models)
        options = FitOptions(kv_type=self.state.options.kv_type)
        self._rows = tuple(
            VariantRow(variant, grid([variant.header], options, card, self._contexts)[0].cells)
            for variant in found
        )
        cursor = None
        if at_model:
            row = next(y for y, variant in enumerate(found) if variant.model is model)
            wanted = self.state.options.context_tokens
            column = sum(1 for context in self._contexts if context < wanted)
            cursor = (row, column)
        name = f"what if {card.name}" if card.what_if else card.name
        self.title_line.show(
            Content.assemble(
                " ",
                (short_name(model), "bold"),
                f"   kv {self.state.options.kv_type}   {name}, {gib_text(card.free_bytes)} free",
            )
        )
        self.view.show(self._rows, self._contexts, cursor)
        self.hint.show(Content("   ~ size estimated, not on this machine   arrows walk   esc back"))
        self._show_cell()

    @on(GridView.Walked)
    def _show_cell(self) -> None:
        cell = self._cell()
        if cell is None:
            self.sentence.show(Content())
            return
        row, verdict = cell
        start = f"   {row.variant.quantisation} at {tokens_text(verdict.context_tokens)}: "
        self.sentence.show(Content(start + verdict.reason))
        self.show_keys()

    def _cell(self) -> tuple[VariantRow, Cell] | None:
        y, x = self.view.cursor
        if y >= len(self._rows) or x >= len(self._contexts):
            return None
        return self._rows[y], self._rows[y].cells[x]

    def _chosen(self) -> tuple[LocalModel, FitOptions] | None:
        cell = self._cell() if self.ready else None
        if cell is None or cell[0].variant.model is None or cell[1].kind is None:
            return None
        context, kv_type = cell[1].context_tokens, self.state.options.kv_type
        return cell[0].variant.model, FitOptions(context_tokens=context, kv_type=kv_type)

    def is_valid(self, entry: Action) -> bool:
        """What is not on this machine cannot be loaded."""
        if entry.place == "grid":
            return self._chosen() is not None
        return True

    def leave(self) -> bool:
        """``esc``: back to the list."""
        self.post_message(PlaceAsked("models"))
        return True

    def action_grid_use(self) -> None:
        """Load the file of this row with the context of this column."""
        if chosen := self._chosen():
            self.post_message(LoadAsked(chosen[0].id, chosen[1]))

    def action_grid_copy_command(self) -> None:
        """Copy the command that does the same."""
        if chosen := self._chosen():
            self.post_message(CommandAsked(chosen[0].id, chosen[1]))
