"""The places of the deck, each imported and made when it is first gone to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from modeldeck.tui.actions import Action, Place
from modeldeck.tui.screens.models import ModelsScreen
from modeldeck.tui.screens.place import PlaceScreen
from modeldeck.tui.state import DeckState

if TYPE_CHECKING:
    from modeldeck.tui.hub_desk import HubDesk
    from modeldeck.tui.pulls_desk import PullsDesk
    from modeldeck.tui.screens.chat import ChatScreen
    from modeldeck.tui.screens.grid import GridScreen
    from modeldeck.tui.screens.options import OptionsScreen
    from modeldeck.tui.services import Services
    from modeldeck.tui.talk import Talk


class Places:
    """The screens made so far. The first frame waits for none but the models."""

    def __init__(
        self,
        actions: tuple[Action, ...],
        talk: Callable[[], Talk],
        hub: Callable[[], HubDesk],
        pulls: Callable[[], PullsDesk],
        services: Services,
        state_now: Callable[[], DeckState],
    ) -> None:
        self._actions = actions
        self._talk = talk
        self._hub = hub
        self._pulls = pulls
        self._services = services
        self._state_now = state_now
        self._made: dict[Place, PlaceScreen] = {}

    def screen(self, place: Place) -> PlaceScreen:
        """The screen of a place."""
        if place not in self._made:
            self._made[place] = self._make(place)
        return self._made[place]

    def _make(self, place: Place) -> PlaceScreen:
        match place:
            case "chat":
                from modeldeck.tui.screens.chat import ChatScreen  # 60 ms

                services = self._services
                return ChatScreen(
                    self._actions,
                    self._state_now(),
                    self._talk(),
                    services.library,
                    services.batch_ms,
                )
            case "conversations":
                from modeldeck.tui.screens.conversations import ConversationsScreen

                library = self._services.library
                return ConversationsScreen(self._actions, self._state_now(), self._talk(), library)
            case "options":
                from modeldeck.tui.screens.options import OptionsScreen

                return OptionsScreen(self._actions, self._state_now(), self._services.companions)
            case "grid":
                from modeldeck.tui.screens.grid import GridScreen

                return GridScreen(self._actions, self._state_now())
            case "hub":
                from modeldeck.tui.screens.hub import HubScreen

                return HubScreen(self._actions, self._state_now(), self._hub())
            case "pulls":
                from modeldeck.tui.screens.pulls import PullsScreen

                return PullsScreen(self._actions, self._state_now(), self._pulls())
            case "engines":
                from modeldeck.tui.screens.engines import EnginesScreen

                return EnginesScreen(self._actions, self._state_now())
            case _:
                return ModelsScreen(self._actions, self._state_now())

    @property
    def chat(self) -> ChatScreen:
        """The chat, which is told how an answer comes along, shown or not."""
        from modeldeck.tui.screens.chat import ChatScreen

        screen = self.screen("chat")
        assert isinstance(screen, ChatScreen)
        return screen

    @property
    def options(self) -> OptionsScreen:
        """The options of a load."""
        from modeldeck.tui.screens.options import OptionsScreen

        screen = self.screen("options")
        assert isinstance(screen, OptionsScreen)
        return screen

    @property
    def grid(self) -> GridScreen:
        """The grid of quantisations and contexts."""
        from modeldeck.tui.screens.grid import GridScreen

        screen = self.screen("grid")
        assert isinstance(screen, GridScreen)
        return screen

    def take_state(self, state: DeckState) -> None:
        """Hand a new state to every screen there is."""
        for screen in self._made.values():
            screen.take_state(state)
