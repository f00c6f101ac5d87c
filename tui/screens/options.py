"""Options: how one model is to be loaded, and what that costs, changed with the arrow keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.types import CSSPathType

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.fit.advice import Advice, advise
from modeldeck.engines.fit.companions import ALONE, Companions
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.search import answer
from modeldeck.engines.types import Draft, LocalModel
from modeldeck.tui.actions import Action, Place
from modeldeck.tui.bindings import bindings_of
from modeldeck.tui.load_beside import offers_for
from modeldeck.tui.load_options import NO_OFFERS, option_fields, with_value
from modeldeck.tui.messages import CommandAsked, LoadAsked, NoticeGiven, PlaceAsked
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.state import DeckState, Options
from modeldeck.tui.widgets.line import Line
from modeldeck.tui.widgets.model_detail import Detail, ModelDetail
from modeldeck.tui.widgets.model_rows import short_name
from modeldeck.tui.widgets.option_fields import OptionFields


class OptionsScreen(PlaceScreen):
    """The options on the left, the bill they make on the right, priced anew with every step."""

    PLACE: ClassVar[Place] = "options"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("options")
    CSS_PATH: ClassVar[CSSPathType | None] = ["place.tcss", "options.tcss"]

    title_line = getters.query_one("#of", Line)
    fields = getters.query_one(OptionFields)
    hint = getters.query_one("#hint", Line)
    detail = getters.query_one(ModelDetail)

    def __init__(
        self,
        actions: tuple[Action, ...],
        state: DeckState,
        companions: Callable[[LocalModel, Draft | None, Sequence[str]], Companions],
    ) -> None:
        """Make the place.

        Args:
            actions: every action with the user's own keys.
            state: what the deck knows now.
            companions: what is loaded with a model, a draft and adapters; may raise a
                ModeldeckError.
        """
        super().__init__(actions, state)
        self._read_companions = companions
        self._beside: tuple[object, Companions] = (None, ALONE)
        self._adapters: tuple[Path, ...] = ()
        self._offers = NO_OFFERS
        self._model: LocalModel | None = None
        self._options = FitOptions()
        self._advice: tuple[Advice, ...] = ()

    def open(self, model: LocalModel) -> None:
        """Begin with how it was loaded before, else with what the list's verdict is for."""
        usual = self._usual(model)
        kept = self.state.profile(model) or usual
        self._model = model
        self._options = replace(
            kept,
            context_tokens=kept.context_tokens or usual.context_tokens,
            kv_type=kept.kv_type or usual.kv_type,
        )
        self._beside, self._adapters = (None, ALONE), ()
        self._offer()

    def _usual(self, model: LocalModel) -> FitOptions:
        """What the list's verdict is for."""
        context = self.state.options.context_tokens
        if model.header is not None and model.header.context_length:
            context = min(context, model.header.context_length)
        return FitOptions(context_tokens=context, kv_type=self.state.options.kv_type)

    def offer_adapters(self, model: LocalModel, adapters: tuple[Path, ...]) -> None:
        """Let these adapters be chosen for ``model``, when it is still the one shown."""
        if self._model is model and adapters:
            self._adapters = adapters
            self._offer()

    def _offer(self) -> None:
        if self._model is not None:
            self._offers = offers_for(
                self._model, self.state.models, self._adapters, self.state.card
            )
            self._price()

    def compose_body(self) -> ComposeResult:
        """The model's name; its options beside its bill."""
        yield Line(id="of")
        with Horizontal(id="middle"):
            with Vertical(id="left"):
                yield OptionFields(id="fields")
                yield Line(id="hint")
            with Vertical(id="detail-frame"):
                yield ModelDetail(id="detail")

    def on_mount(self) -> None:
        """The options take the keys; Textual calls the base's handler too."""
        self.fields.focus()

    @on(Resize)
    def _follow_width(self) -> None:
        """The bill follows the width."""
        self.detail.lines_changed()

    def show_state(self, state: DeckState, before: DeckState) -> None:
        """Another card or other free memory is another bill."""
        if state.card != before.card or state.memory is not before.memory or state is before:
            self._price()

    def _companions(self, model: LocalModel) -> Companions:
        """What is loaded with the model; a file that cannot be read is not chosen any more."""
        options = self._options
        wanted = (model.id, options.draft, options.adapters)
        if self._beside[0] != wanted:
            try:
                read = self._read_companions(model, options.draft, options.adapters)
            except ModeldeckError as error:
                self.post_message(NoticeGiven(error.cause, error.next_step, failure=True))
                self._options = replace(options, draft=None, adapters=())
                return self._companions(model)
            self._beside = (wanted, read)
        return self._beside[1]

    def _price(self) -> None:
        model = self._model
        card = self.state.card_for(model) if model is not None else None
        if not self.ready or model is None or model.header is None or card is None:
            return
        companions = self._companions(model)
        found = answer(
            model.header,
            self._options,
            card,
            usual_context_tokens=self.state.options.context_tokens,
            model_format=model.format,
            companions=companions,
        )
        self._advice = advise(
            model.header,
            found,
            card,
            model_format=model.format,
            companions=companions,
        )
        self.title_line.show(Content.assemble(" options of ", (short_name(model), "bold")))
        self.fields.show(
            option_fields(self._options, found.plan, model.header, self._offers),
            [advice.text for advice in self._advice],
        )
        self.hint.show(Content("  ◂▸ change  backspace auto  esc back"))
        verdict, memory = found.verdict, self.state.memory
        if memory is not None:
            verdict = memory.measured(verdict, found.plan, model, card)
        shown = Options(found.plan.context_tokens, found.plan.kv_type)
        self.detail.show(Detail(model, verdict, card, shown))

    @on(OptionFields.Changed)
    def _changed(self, event: OptionFields.Changed) -> None:
        event.stop()
        self._options = with_value(self._options, event.name, event.value, self._offers)
        self._price()

    @on(OptionFields.Taken)
    def _taken(self, event: OptionFields.Taken) -> None:
        event.stop()
        options = self._advice[event.index].options
        if options is not None:
            self._options = options
            self._price()

    def leave(self) -> bool:
        """``esc``: back to the list."""
        self.post_message(PlaceAsked("models"))
        return True

    def action_options_use(self) -> None:
        """Load the model like that."""
        if self._model is not None:
            self.post_message(LoadAsked(self._model.id, self._options))

    def action_options_reset(self) -> None:
        """Leave every option to the plan again."""
        if self._model is not None:
            self._options = self._usual(self._model)
            self._price()

    def action_options_copy_command(self) -> None:
        """Copy the command that does the same."""
        if self._model is not None:
            self.post_message(CommandAsked(self._model.id, self._options))
