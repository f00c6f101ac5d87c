"""Streams an answer into the store: a killed deck loses at most the last 250 ms of text."""

from __future__ import annotations

import threading
from typing import Final, Protocol

from modeldeck.engines.errors import ModeldeckError

FLUSH_SECONDS: Final = 0.15
"""How long a piece may wait to be kept: with the writing itself, well below 250 ms."""


class KeepsPieces(Protocol):
    """Where pieces go: ``Conversations``."""

    def append(self, message_id: int, text: str, reasoning: str) -> None:
        """Keep the next piece of an answer. Raises StoreError."""
        ...


class StreamWriter:
    """Gathers the pieces of one answer and keeps them a moment later, from its own thread.

    ``write`` costs next to nothing. A failure to keep does not stop the answer: what could not be
    kept is tried again with the next pieces and at the end.

    Attributes:
        problem: why pieces are not kept now; None when all is well.
    """

    def __init__(
        self,
        store: KeepsPieces,
        message_id: int,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._store = store
        self._message_id = message_id
        self._flush_seconds = flush_seconds
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._wake = threading.Condition()
        self._closed = False
        self.problem: ModeldeckError | None = None
        self._thread = threading.Thread(target=self._run, name="stream-writer", daemon=True)
        self._thread.start()

    def write(self, text: str, reasoning: str) -> None:
        """Take the next piece."""
        with self._wake:
            idle = not (self._text or self._reasoning)
            if text:
                self._text.append(text)
            if reasoning:
                self._reasoning.append(reasoning)
            if idle:  # else the thread only waits for its time
                self._wake.notify()

    def close(self) -> None:
        """Keep what is left and end. Called again, it tries again what could not be kept."""
        ended = not self._thread.is_alive()
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        if ended and (self._text or self._reasoning):
            text, reasoning = "".join(self._text), "".join(self._reasoning)
            self._text.clear()
            self._reasoning.clear()
            self._keep(text, reasoning)

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._text or self._reasoning)
                self._wake.wait_for(lambda: self._closed, self._flush_seconds)
                text, reasoning = "".join(self._text), "".join(self._reasoning)
                self._text.clear()
                self._reasoning.clear()
                closed = self._closed
            if text or reasoning:
                self._keep(text, reasoning)

    def _keep(self, text: str, reasoning: str) -> None:
        try:
            self._store.append(self._message_id, text, reasoning)
            self.problem = None
        except ModeldeckError as error:
            self.problem = error
            with self._wake:
                self._text.insert(0, text)
                self._reasoning.insert(0, reasoning)
