"""The real answers to what the Pulls place asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from modeldeck.engines.errors import ModelNotFound
from modeldeck.tui.pulls_state import PullsNews


def _absent() -> ModelNotFound:
    return ModelNotFound("Nothing pulls here yet.", "Use the tools of the store.")


class PullsAnswers:
    """The background process of this user, through its client."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def watch(self, on_news: Callable[[PullsNews], None], should_stop: Callable[[], bool]) -> None:
        """Tell how the pulls stand."""
        raise _absent()

    def add(self, targets: Sequence[str]) -> None:
        """Have these pulled."""
        raise _absent()

    def pause(self, pull_id: str) -> None:
        """Let a pull rest."""
        raise _absent()

    def resume(self, pull_id: str) -> None:
        """Let a pull go on."""
        raise _absent()

    def retry(self, pull_id: str) -> None:
        """Try a pull again."""
        raise _absent()

    def cancel(self, pull_id: str) -> None:
        """End a pull."""
        raise _absent()

    def first(self, pull_id: str) -> None:
        """Do a pull before all others."""
        raise _absent()

    def limit(self, bytes_per_second: int | None) -> None:
        """What all pulls may take together."""
        raise _absent()

    def clear(self) -> None:
        """Forget the pulls that have ended."""
        raise _absent()
