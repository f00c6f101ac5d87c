"""The workers of the Pulls place: one that watches, and one for each thing asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final

from modeldeck.engines.errors import ModeldeckError
from modeldeck.tui.apart import call_apart
from modeldeck.tui.pulls_source import PullsSource
from modeldeck.tui.pulls_state import PullsNews
from modeldeck.tui.workers import Workers

TELL_S: Final = 0.25
"""News are told, and drawn, at most so often."""


class PullsJobs:
    """Watches the pulls and carries out what is asked."""

    def __init__(self, workers: Workers, source: PullsSource) -> None:
        self._workers = workers
        self._source = source
        self._numbers = count()

    def now(self) -> float:
        """Seconds since 1970."""
        return self._source.now()

    def watch(
        self, told: Callable[[PullsNews], None], failed: Callable[[ModeldeckError], None]
    ) -> None:
        """Tell how the pulls stand, the newest news only, for as long as the deck is open."""

        async def run() -> None:
            stopped = False
            newest: deque[PullsNews] = deque(maxlen=1)
            watching = asyncio.create_task(
                call_apart(lambda: self._source.watch(newest.append, lambda: stopped))
            )
            try:
                while not watching.done():
                    await asyncio.wait((watching,), timeout=TELL_S)
                    if newest:
                        told(newest.pop())
                await watching
            except ModeldeckError as error:
                failed(error)
            finally:
                stopped = True

        self._workers.start("pulls-watch", run)

    def ask(
        self,
        act: Callable[[PullsSource], None],
        done: Callable[[], None],
        failed: Callable[[ModeldeckError], None],
    ) -> None:
        """Carry out one wish; wishes do not replace each other."""

        async def run() -> None:
            try:
                await call_apart(lambda: act(self._source))
            except ModeldeckError as error:
                failed(error)
            else:
                done()

        self._workers.start(f"pulls-{next(self._numbers)}", run)
