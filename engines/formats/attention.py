"""Somebody waits for the answers of servers, and may walk away. For several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Attention:
    """Is told when a server asks for patience; its end hangs up on what is under way."""

    def __init__(self, on_wait: Callable[[float], None] | None = None) -> None:
        """Begin to wait.

        Args:
            on_wait: is told how many seconds a server asks to wait, from the thread that does.
        """
        self._on_wait = on_wait
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._ends: set[Callable[[], None]] = set()

    @property
    def over(self) -> bool:
        """Nobody waits any more."""
        return self._over.is_set()

    def end(self) -> None:
        """Walk away. Does not block."""
        with self._lock:
            self._over.set()
            ends = tuple(self._ends)
        for end in ends:
            end()

    def asked_to_wait(self, seconds: float) -> None:
        """A server asks for so much patience."""
        if self._on_wait is not None and not self.over:
            self._on_wait(seconds)

    def sleep(self, seconds: float) -> None:
        """Wait so long, or until nobody waits any more."""
        self._over.wait(seconds)

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Generator[None]:
        """While the block runs the end calls ``end`` too, from the thread that walks away."""
        with self._lock:
            self._ends.add(end)
        try:
            if self.over:
                end()
            yield
        finally:
            with self._lock:
                self._ends.discard(end)
