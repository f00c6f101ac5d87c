"""What a key does in every place of the deck."""

from __future__ import annotations

from abc import abstractmethod

from textual import on
from textual.content import Content

from modeldeck.engines.errors import ModeldeckError
from modeldeck.tui import messages
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.services import Services
from modeldeck.tui.state import DeckState, Notice
from modeldeck.tui.terminal_app import TerminalApp


class EverywhereApp(TerminalApp):
    """The actions that are the same everywhere, over what the deck hands in."""

    services: Services
    state: DeckState
    theme_names: tuple[str, ...]

    @abstractmethod
    def change(self, state: DeckState) -> None:
        """Take a new state and hand it to every place."""

    def give_notice(self, notice: Notice | None) -> None:
        """Show a notice in every place until the next one."""
        self.change(self.state._replace(notice=notice))

    @on(messages.NoticeGiven)
    def _notice_given(self, message: messages.NoticeGiven) -> None:
        self.give_notice(Notice(message.cause, message.next_step, message.failure))

    def use_theme(self, name: str) -> None:
        """Use a theme by name; an unknown one leaves the first."""
        if name in self.theme_names:
            self.theme = name
        else:
            self.theme = self.theme_names[0]
            self.give_notice(
                Notice(
                    f"There is no theme called {name}.", f"Themes: {', '.join(self.theme_names)}."
                )
            )

    def action_everywhere_models(self) -> None:
        """Go to the list of models."""
        self.switch_mode("models")

    def action_everywhere_hub(self) -> None:
        """Go to what could be had."""
        self.switch_mode("hub")

    def action_everywhere_pulls(self) -> None:
        """Go to what is on its way."""
        self.switch_mode("pulls")

    def action_everywhere_chat(self) -> None:
        """Go to the chat."""
        self.switch_mode("chat")

    def action_everywhere_engines(self) -> None:
        """Go to the engines."""
        self.switch_mode("engines")

    def action_everywhere_palette(self) -> None:
        """Open the command palette."""
        self.action_command_palette()

    def action_everywhere_help(self) -> None:
        """Show the keys that work now."""
        from modeldeck.tui.screens.overlay import TextOverlay

        screen = self.screen
        if isinstance(screen, PlaceScreen):
            title = f"Keys that work now in {screen.PLACE.capitalize()}"
            self.push_screen(TextOverlay(title, screen.help_lines()))

    def action_everywhere_leave(self) -> None:
        """Leave what can be left; nothing to leave clears the notice."""
        screen = self.screen
        if isinstance(screen, PlaceScreen) and not screen.leave() and self.state.notice:
            self.give_notice(None)

    def action_everywhere_log(self) -> None:
        """Read the engines' log."""
        from modeldeck.tui.screens.overlay import TextOverlay

        self.push_screen(TextOverlay("Engine log", self._log_lines(), at_end=True))

    def _log_lines(self) -> list[Content]:
        lines = self.services.log_lines()
        return [Content(line) for line in lines] or [Content("No engine has run yet.")]

    def action_everywhere_theme(self) -> None:
        """Use the next theme and remember it."""
        here = self.theme_names.index(self.theme) if self.theme in self.theme_names else -1
        name = self.theme_names[(here + 1) % len(self.theme_names)]
        self.use_theme(name)
        try:
            self.services.remember("theme", name)
        except ModeldeckError as error:
            self.give_notice(Notice.of(error))
        else:
            self.give_notice(Notice(f"Theme {name}."))

    async def action_everywhere_quit(self) -> None:
        """Leave; what was streamed is kept and engines are stopped on the way out."""
        self.exit(0)
