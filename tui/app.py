"""The app: wiring between the jobs, the deck's state and the places. It decides nothing itself."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.command import Provider
from textual.screen import Screen

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.types import LocalModel, Plan, Source
from modeldeck.themes import load_themes
from modeldeck.tui import messages
from modeldeck.tui.actions import ACTIONS, Place, key_name, remapped
from modeldeck.tui.bindings import bindings_of, textual_keymap
from modeldeck.tui.engines_app import EnginesApp
from modeldeck.tui.jobs import Jobs
from modeldeck.tui.places import Places
from modeldeck.tui.services import Services
from modeldeck.tui.state import DeckState, Loading, Notice, Options, Retry, same_where_equal
from modeldeck.tui.terminal import default_theme
from modeldeck.tui.theme import textual_themes

if TYPE_CHECKING:
    from modeldeck.engines.fit.options import FitOptions
    from modeldeck.tui.dry_runs import DryRuns
    from modeldeck.tui.talk import Talk
    from modeldeck.tui.talk_events import TalkEvent


def _commands() -> type[Provider]:
    from modeldeck.tui.palette import DeckCommands

    return DeckCommands


def _problems_notice(problems: Sequence[str]) -> Notice:
    first, *rest = problems
    return Notice(first, f"({len(rest)} more)" if rest else "")


SCAN_AGAIN_S = 2.0
"""How long a change in the folders waits for a scan under way."""


class DeckApp(EnginesApp):
    """The deck. Everything it uses is handed in; it makes nothing global."""

    TITLE = "modeldeck"
    COMMANDS: ClassVar = {_commands}
    DEFAULT_MODE = "models"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("everywhere")
    CSS_PATH: ClassVar = ["app.tcss", "screens/place.tcss", "screens/models.tcss"]
    AUTO_FOCUS = ""

    def __init__(self, services: Services, dry_runs: DryRuns | None = None) -> None:
        super().__init__()
        settings = services.settings
        self.services = services
        self.jobs = Jobs(self, services, dry_runs)
        self.actions = remapped(ACTIONS, settings.keymap)
        self.state = DeckState(
            places=services.place_names,
            engine_wishes=services.wishes.engines(),
            profiles=services.wishes.profiles(),
            options=Options(settings.context_tokens, settings.kv_type),
        )
        found, theme_problems = load_themes(services.config_dir / "themes")
        themes = textual_themes(found)
        for theme in themes:
            self.register_theme(theme)
        self.theme_names = tuple(theme.name for theme in themes)
        self.use_theme(settings.theme or default_theme(self.console.color_system))
        self.set_keymap(textual_keymap(settings.keymap))
        if problems := (*services.problems, *theme_problems):
            self.state = self.state._replace(notice=_problems_notice(problems))
        self._places = Places(
            self.actions,
            lambda: self.talk,
            lambda: self.hub,
            lambda: self.pulls,
            services,
            lambda: self.state,
        )
        for place in ("hub", "pulls", "chat", "options", "grid", "conversations", "engines"):
            self._add_place(place)
        self._wanted: LocalModel | None = None
        self._looked_around = False
        self._watch_notes: tuple[str, ...] = ()

    def _add_place(self, place: Place) -> None:
        make = partial(self._places.screen, place)
        self.add_mode(place, make)  # pyright: ignore[reportUnknownMemberType]

    @cached_property
    def talk(self) -> Talk:
        """The conversation, from the first time it is asked for."""
        from modeldeck.tui.talk import Talk

        kept = self.services
        return Talk(kept.conversations, kept.model_settings, self.jobs, self._tell)

    def close_talk(self) -> ModeldeckError | None:
        """Keep what is being said, when anything was. Returns what went wrong with that."""
        return self.talk.close() if "talk" in self.__dict__ else None

    def get_default_screen(self) -> Screen[None]:
        """The models: a mode from when they are mounted, because a new mode parses all styles.

        Those that are known by now are on the first screen that is painted.
        """
        if (found := self.services.found_early) is not None:
            self.state = self.state._replace(models=found.models, scanning=not found.finished)
        return self._places.screen("models")

    def refresh_css(self, animate: bool = True) -> None:
        """Parse the styles again in other colours; before anything is mounted they are not yet."""
        if self.children:
            super().refresh_css(animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())

    def on_mount(self) -> None:
        """Read the list at once; what it does not need looks around when it is painted."""
        self._add_place("models")
        self.jobs.scan()

    def _look_around(self) -> None:
        self.jobs.watch_hardware()
        self.jobs.probe()
        self.jobs.watch_folders()
        self.watch_pulls()

    def change(self, state: DeckState) -> None:
        """Take a new state and hand it to every place."""
        if state is not self.state:
            self.state = state
            self._places.take_state(state)

    # What the jobs found.

    @on(messages.ModelsScanned)
    def _models_scanned(self, message: messages.ModelsScanned) -> None:
        self.change(
            self.state._replace(
                models=same_where_equal(self.state.models, message.models),
                notes=(*message.notes, *self._watch_notes),
                scanning=not message.finished,
            )
        )
        if not self._looked_around:
            self._looked_around = bool(self.call_after_refresh(self._look_around))
        self.judge_models()

    @on(messages.FoldersChanged)
    def _folders_changed(self) -> None:
        if not self.state.scanning:
            self.jobs.scan(whole=True)
        else:
            self.set_timer(SCAN_AGAIN_S, lambda: self.post_message(messages.FoldersChanged()))

    @on(messages.WatchPolls)
    def _watch_polls(self, message: messages.WatchPolls) -> None:
        self._watch_notes = (message.why,)
        self.change(self.state._replace(notes=(*self.state.notes, message.why)))

    @on(messages.EnginesFound)
    def _engines_found(self, message: messages.EnginesFound) -> None:
        self.change(self.state.with_engines(message.infos))
        if message.problems and self.state.notice is None:
            self.give_notice(_problems_notice(message.problems))

    @on(messages.EngineProbed)
    def _engine_probed(self, message: messages.EngineProbed) -> None:
        self.change(self.state.with_probe(message.info, message.probe))

    @on(messages.PlaceAsked)
    def _place_asked(self, message: messages.PlaceAsked) -> None:
        self.switch_mode(message.place)

    # Loading and unloading.

    @on(messages.ChatAsked)
    def _chat_asked(self, message: messages.ChatAsked) -> None:
        model = self.state.model(message.model_id)
        refusal = self.state.refusal(model)
        if model is None or refusal is not None:
            self.give_notice(refusal)
        else:
            self.switch_mode("chat")
            self._load(model)

    @on(messages.DemoAsked)
    def _demo_asked(self) -> None:
        demo = next((m for m in self.state.models if m.source is Source.DEMO), None)
        if demo is None:
            self.give_notice(Notice("The demo model is not here yet.", "Wait for the list."))
        else:
            self.post_message(messages.ChatAsked(demo.id))

    @on(messages.LoadOptionsAsked)
    def _load_options_asked(self, message: messages.LoadOptionsAsked) -> None:
        model = self.state.model(message.model_id)
        if model is not None and model.header is not None:
            self._places.options.open(model)
            self.jobs.find_adapters(model)
            self.switch_mode("options")

    @on(messages.AdaptersFound)
    def _adapters_found(self, message: messages.AdaptersFound) -> None:
        self._places.options.offer_adapters(message.model, message.adapters)

    @on(messages.GridAsked)
    def _grid_asked(self, message: messages.GridAsked) -> None:
        model = self.state.model(message.model_id)
        if model is not None and model.header is not None:
            self._places.grid.open(model)
            self.switch_mode("grid")

    @on(messages.LoadAsked)
    def _load_asked(self, message: messages.LoadAsked) -> None:
        model = self.state.model(message.model_id)
        if model is not None:
            self.switch_mode("chat")
            self._load(model, message.options, keep=True)

    def _load(
        self, model: LocalModel, given: FitOptions | None = None, *, keep: bool = False
    ) -> None:
        loaded, loading = self.state.loaded, self.state.loading
        if loading is not None and loading.model.id == model.id:
            return
        stays = loaded is not None and self.state.engine_for(model).engine in (None, loaded.engine)
        same = stays and loaded is not None and loaded.model.id == model.id
        if same and given is None:
            return
        self._wanted = model
        wish = self.state.engine_wishes.get(model.name)
        self.jobs.load(model, self.state.options, wish, given, keep=keep)

    @on(messages.ProfilesChanged)
    def _profiles_changed(self, message: messages.ProfilesChanged) -> None:
        self.change(self.state._replace(profiles=message.profiles))

    @on(messages.EngineWished)
    def _engine_wished(self, message: messages.EngineWished) -> None:
        model = self.state.model(message.model_id)
        if model is None:
            return
        try:
            wishes = self.services.wishes.choose_engine(model, message.engine)
        except ModeldeckError as error:
            self.give_notice(Notice.of(error))
            return
        self.change(self.state._replace(engine_wishes=wishes))
        self.give_notice(Notice(self.state.engine_for(model).reason))

    def _plan(self, model: LocalModel, engine: str, given: FitOptions | None) -> Plan:
        options = self.state.options
        given = given or self.state.profile(model)
        return self.services.plan(
            model,
            options.context_tokens,
            options.kv_type,
            self.state.hardware,
            self.state.devices_of(engine),
            given,
        )

    @on(messages.CommandAsked)
    def _command_asked(self, message: messages.CommandAsked) -> None:
        model = self.state.model(message.model_id)
        if model is None:
            return
        choice = self.state.engine_for(model)
        if choice.engine is None:
            self.give_notice(Notice(choice.reason, choice.next_step, failure=True))
            return
        try:
            plan = self._plan(model, choice.engine, message.options)
        except ModeldeckError as error:
            self.give_notice(Notice.of(error))
            return
        words = self.services.launch_command(choice.engine, model, plan)
        if words is None:
            self.give_notice(
                Notice(
                    f"{choice.engine} has no command that does the same.",
                    f"It is loaded with {key_name(self._places.chat.key_of('models.chat'))}.",
                )
            )
        else:
            self.post_message(messages.CopyAsked(shlex.join(words), "the command"))

    @on(messages.UnloadAsked)
    def _unload_asked(self) -> None:
        if self.state.loaded is None and self.state.loading is None:
            self.give_notice(Notice("No model is loaded."))
            return
        self.jobs.unload()

    @on(messages.LoadProgressed)
    def _load_progressed(self, message: messages.LoadProgressed) -> None:
        loading = self.state.loading
        started_ns = (
            loading.started_ns
            if loading is not None and loading.model.id == message.model.id
            else self.jobs.now_ns()
        )
        progress = Loading(message.model, message.progress, started_ns)
        self.change(self.state._replace(loading=progress, loaded=None, notice=None))

    @on(messages.LoadEnded)
    def _load_ended(self, message: messages.LoadEnded) -> None:
        if message.loaded is None and self._wanted is not message.model:
            return  # called off because another model is wanted by now
        notice, retry = self._load_failure(message) if message.error else (None, None)
        self.change(
            self.state._replace(loading=None, loaded=message.loaded, notice=notice, retry=retry)
        )
        if message.loaded is None:
            self.talk.load_failed()
        else:
            self.talk.model_changed(message.loaded)
        self._places.chat.take_state(self.state)

    def _load_failure(self, message: messages.LoadEnded) -> tuple[Notice, Retry | None]:
        from modeldeck.tui.failed_load import after_failed_load

        assert message.error is not None
        hardware = self.state.hardware
        card = self.services.cards.card_here(hardware) if hardware is not None else None
        card = self.state.with_learnt(card, message.model)
        plan = message.plan or Plan()
        try:
            beside = self.services.companions(message.model, plan.draft, plan.adapters)
        except ModeldeckError:
            return Notice.of(message.error), None
        return after_failed_load(message.model, message.error, message.plan, card, beside)

    @on(messages.RetryAsked)
    def _retry_asked(self) -> None:
        retry = self.state.retry
        if retry is not None:
            from modeldeck.engines.fit.options import FitOptions

            self._load(retry.model, FitOptions.of(retry.plan))

    @on(messages.Unloaded)
    def _unloaded(self, message: messages.Unloaded) -> None:
        words = "had nothing to do and is unloaded" if message.idle else "is unloaded"
        notice = (
            Notice.of(message.error)
            if message.error
            else Notice(f"{message.model.name} {words}; its memory is free.")
        )
        self.change(self.state._replace(loading=None, loaded=None, notice=notice))
        self.talk.model_changed(None)

    # The conversation.

    def _tell(self, event: TalkEvent) -> None:
        from modeldeck.tui.talk_events import Asked, ModelWanted

        if isinstance(event, Asked):
            self.give_notice(None)
        elif isinstance(event, ModelWanted):
            self.call_later(self._bring_model)
        self._places.chat.post_message(messages.TalkTold(event))

    def _bring_model(self) -> None:
        if self.state.loading is not None or self.state.loaded is not None:
            return
        if self._wanted is not None:
            self._load(self._wanted)
            return
        self.talk.load_failed()
        self.give_notice(
            Notice("No model is loaded.", "Pick one with ctrl+o, then ask again with ctrl+r.")
        )
        self._places.chat.take_state(self.state)

    @on(messages.PromptCounted)
    def _prompt_counted(self, message: messages.PromptCounted) -> None:
        self._places.chat.post_message(messages.PromptCounted(message.next_prompt))

    @on(messages.ContextWeighed)
    def _context_weighed(self, message: messages.ContextWeighed) -> None:
        self.talk.weighed(message.leaf, message.use)

    @on(messages.ReplyMoved)
    def _reply_moved(self, message: messages.ReplyMoved) -> None:
        update = message.update
        self._places.chat.post_message(messages.ReplyMoved(message.message_id, update))
        self.change(self.state.hearing(silent=update.silent, unkept=update.unkept))

    @on(messages.ReplyEnded)
    def _reply_ended(self, message: messages.ReplyEnded) -> None:
        end = message.end
        self.talk.ended(message.message_id, end)
        self._places.chat.post_message(messages.ReplyEnded(message.message_id, end))
        self.change(self.state.hearing(silent=False))
        if end.error is not None:
            self.give_notice(Notice.of(end.error))

    @on(messages.LinkPaced)
    def _link_paced(self, message: messages.LinkPaced) -> None:
        self.change(self.state._replace(slow_ms=message.slow_ms))

    # The rest of what places ask for.

    @on(messages.RescanAsked)
    def _rescan_asked(self) -> None:
        self.change(self.state._replace(scanning=True, notice=None))
        self.jobs.scan()

    @on(messages.CopyAsked)
    def _copy_asked(self, message: messages.CopyAsked) -> None:
        self.jobs.copy(message.text, message.what)
