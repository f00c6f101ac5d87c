"""The real answers to what the Hub place asks: from the Hub, from Ollama, from what was kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from modeldeck.engines.errors import ModelNotFound
from modeldeck.tui.hub_best import best_variant
from modeldeck.tui.hub_judging import Judging, VariantJudge
from modeldeck.tui.hub_source import Listing
from modeldeck.tui.hub_state import Asked, Best, Page, Source, Variant

if TYPE_CHECKING:
    from modeldeck.engines.contract import Engine
    from modeldeck.engines.fit.types import Card
    from modeldeck.tui.learned_memory import LearnedMemory
    from modeldeck.tui.state import Options


class HubAnswers:
    """Searches, listings, headers and cards."""

    def __init__(self, engines: Callable[[], Sequence[Engine]], memory: LearnedMemory) -> None:
        """Answer for this machine.

        Args:
            engines: those there are; asked for only where a variant is no GGUF file.
            memory: what loads taught.
        """
        self._engines = engines
        self._memory = memory
        self._judge = VariantJudge()

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def search(self, asked: Asked, page: str, should_stop: Callable[[], bool]) -> Page:
        """The first part of an answer, or the one that ``page`` asks for."""
        raise ModelNotFound("The search is not here yet.", "Use modeldeck fit.")

    def listing(self, source: Source, name: str, should_stop: Callable[[], bool]) -> Listing:
        """The variants of a repository."""
        raise ModelNotFound("The search is not here yet.", "Use modeldeck fit.")

    def read(
        self,
        variants: Sequence[Variant],
        on_read: Callable[[Variant], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Read headers."""

    def judge(
        self, variants: Sequence[Variant], options: Options, card: Card
    ) -> tuple[Variant, ...]:
        """The same with verdicts, where they have headers."""
        judging = Judging(
            options,
            card,
            lambda: [engine.info for engine in self._engines()],
            self._memory.lesson(),
        )
        return self._judge.judged(variants, judging)

    def best(self, variants: Sequence[Variant], options: Options, card: Card) -> Best | None:
        """The judged variant to take on ``card``, and why."""
        return best_variant(variants, options, card)

    def card_text(self, source: Source, name: str, should_stop: Callable[[], bool]) -> str:
        """The model card in Markdown."""
        raise ModelNotFound("The search is not here yet.", "Use modeldeck fit.")
