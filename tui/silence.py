"""Tells an engine that is silent because it is busy from one that does not answer at all."""

from __future__ import annotations

import asyncio
from typing import Final

from modeldeck.engines.contract import AnswersPings, Engine

PATIENCE_S: Final = 3.0
"""How long nothing may come before the engine is asked whether it is there."""


class Silence:
    """Watches one reply: ``run`` asks whenever nothing has come for a while.

    Attributes:
        total: whether the engine does not answer now.
    """

    def __init__(self, engine: Engine, instance: str, patience_s: float = PATIENCE_S) -> None:
        self._engine = engine if isinstance(engine, AnswersPings) else None
        self._instance = instance
        self._patience_s = patience_s
        self._heard = asyncio.Event()
        self.total = False

    def broken(self) -> None:
        """Something came."""
        self.total = False
        self._heard.set()

    async def run(self) -> None:
        """Watch until cancelled; an engine that cannot be asked is never called silent."""
        while self._engine is not None:
            self._heard.clear()
            try:
                # Not wait_for: before Python 3.12 it may swallow the cancelling.
                async with asyncio.timeout(self._patience_s):
                    await self._heard.wait()
            except TimeoutError:
                answered = await self._engine.answers(self._instance)
                self.total = not answered and not self._heard.is_set()
