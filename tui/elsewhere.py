"""What is not on this machine yet, and what brings it here; each part made when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from modeldeck.engines.paths import data_dir

if TYPE_CHECKING:
    from modeldeck.engines.contract import Engine
    from modeldeck.tui.hub_source import HubSource
    from modeldeck.tui.learned_memory import LearnedMemory
    from modeldeck.tui.pulls_source import PullsSource
    from modeldeck.tui.settings import Settings


class Elsewhere:
    """The Hub, Ollama's library, and the pulls."""

    def __init__(
        self,
        engines: Callable[[], Sequence[Engine]],
        memory: Callable[[], LearnedMemory],
        settings: Settings,
    ) -> None:
        """Ask nothing yet.

        Args:
            engines: those there are.
            memory: what loads taught.
            settings: of the user.
        """
        self._settings = settings
        self._engines = engines
        self._memory = memory

    @cached_property
    def hub(self) -> HubSource:
        """Searches, listings, headers and model cards."""
        from modeldeck.tui.hub_answers import HubAnswers

        return HubAnswers(self._engines, self._memory())

    @cached_property
    def pulls(self) -> PullsSource:
        """Whoever does the pulls."""
        from modeldeck.tui.pulls_answers import PullsAnswers

        return PullsAnswers(self._settings)

    def pulls_under_way(self) -> bool:
        """Whether anything is being pulled from before; costs next to nothing to ask."""
        if not (data_dir() / "pulls" / "owner").exists():
            return False
        from modeldeck.engines.pulls.home import (
            PullsHome,
        )  # 2 ms, where somebody pulls or has pulled

        return PullsHome().owner() is not None
