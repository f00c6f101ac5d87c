"""What the Pulls place asks of whoever does the pulls: the background process of this user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from modeldeck.tui.pulls_state import PullsNews


class PullsSource(Protocol):
    """Every call blocks, so it belongs in a thread; all raise ModeldeckError."""

    def now(self) -> float:
        """Seconds since 1970; this one does not block."""
        ...

    def watch(self, on_news: Callable[[PullsNews], None], should_stop: Callable[[], bool]) -> None:
        """Tell how the pulls stand, now and whenever that changes, until it should stop.

        The background process is not started for it.
        """
        ...

    def add(self, targets: Sequence[str]) -> None:
        """Have these pulled; starts the background process where it is not there."""
        ...

    def pause(self, pull_id: str) -> None:
        """Let a pull rest; what has come is kept."""
        ...

    def resume(self, pull_id: str) -> None:
        """Let a pull go on."""
        ...

    def retry(self, pull_id: str) -> None:
        """Try a pull that has ended, or waits, again at once."""
        ...

    def cancel(self, pull_id: str) -> None:
        """End a pull; what has come is given up."""
        ...

    def first(self, pull_id: str) -> None:
        """Do a pull before all others."""
        ...

    def limit(self, bytes_per_second: int | None) -> None:
        """What all pulls may take together; None for no limit."""
        ...

    def clear(self) -> None:
        """Forget the pulls that have ended."""
        ...
