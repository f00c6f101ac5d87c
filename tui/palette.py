"""The command palette's entries: every action that is valid now, every model, every theme."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from modeldeck.tui.actions import key_name
from modeldeck.tui.messages import ChatAsked
from modeldeck.tui.screens.place import PlaceScreen

if TYPE_CHECKING:
    from modeldeck.tui.app import DeckApp

Entry = tuple[str, str, Callable[[], object]]


class DeckCommands(Provider):
    """Finds everything by words."""

    @property
    def _deck(self) -> DeckApp:
        return cast("DeckApp", self.app)

    def _actions(self) -> Iterator[Entry]:
        screen = self.screen
        if not isinstance(screen, PlaceScreen):
            return
        for entry in screen.palette_actions():
            name = entry.description[0].upper() + entry.description[1:]
            keys = " ".join(key_name(key) for key in entry.keys)
            owner = self.app if entry.place == "everywhere" else screen
            yield name, keys, partial(owner.run_action, entry.id.replace(".", "_"))

    def _models(self) -> Iterator[Entry]:
        for model in self._deck.state.models:
            if model.problem is None:
                ask = partial(self.app.post_message, ChatAsked(model.id))
                yield f"Chat with {model.name}", "load it and talk to it", ask

    def _themes(self) -> Iterator[Entry]:
        for name in self._deck.theme_names:
            yield f"Theme {name}", "use these colours", partial(self._deck.use_theme, name)

    async def discover(self) -> Hits:
        """What is offered before anything is typed: the actions and the themes."""
        for name, help_text, run in (*self._actions(), *self._themes()):
            yield DiscoveryHit(Content(name), run, text=name, help=help_text)

    async def search(self, query: str) -> Hits:
        """What matches the words typed."""
        matcher = self.matcher(query)
        for name, help_text, run in (*self._actions(), *self._models(), *self._themes()):
            if (score := matcher.match(name)) > 0:
                yield Hit(score, Content(name), run, text=name, help=help_text)
