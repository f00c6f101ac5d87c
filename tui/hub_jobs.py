"""The workers of the Hub place: what blocks runs in threads, its answers are told in the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.formats.attention import Attention
from modeldeck.tui.apart import call_apart
from modeldeck.tui.hub_source import HubSource, Listing
from modeldeck.tui.hub_state import Asked, Best, Page, Source, Variant
from modeldeck.tui.workers import Workers

if TYPE_CHECKING:
    from modeldeck.engines.fit.types import Card
    from modeldeck.tui.state import Options

Answer = TypeVar("Answer")
Failed = Callable[[ModeldeckError], None]
Waits = Callable[[float], None]
"""Is told how many seconds a server asks to wait."""
GATHER_S = 0.25
"""Headers that come in within this time are told and drawn together."""


class HubJobs:
    """Searches, listings and headers; a newer question of a kind replaces the older one."""

    def __init__(self, workers: Workers, source: HubSource) -> None:
        self._workers = workers
        self._source = source
        self._waits: Waits | None = None

    def listen(self, waits: Waits) -> None:
        """Have ``waits`` called when a server asks for patience."""
        self._waits = waits

    def _attention(self) -> Attention:
        """For calls from other threads; what they tell is heard in the loop."""
        loop, waits = asyncio.get_running_loop(), self._waits
        if waits is None:
            return Attention()

        def tell(seconds: float) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(lambda: attention.over or waits(seconds))

        attention = Attention(tell)
        return attention

    def now(self) -> float:
        """Seconds since 1970."""
        return self._source.now()

    def search(
        self, asked: Asked, page: str, found: Callable[[Page], None], failed: Failed
    ) -> None:
        """Search; an older search is given up."""
        self._ask("hub-search", lambda who: self._source.search(asked, page, who), found, failed)

    def card_text(
        self, source: Source, name: str, found: Callable[[str], None], failed: Failed
    ) -> None:
        """Fetch a model card."""
        self._ask("hub-card", lambda who: self._source.card_text(source, name, who), found, failed)

    def listing(
        self, source: Source, name: str, found: Callable[[Listing], None], failed: Failed
    ) -> None:
        """List the variants of a repository; what an older one was read for is given up."""
        self.leave()
        self._ask("hub-list", lambda who: self._source.listing(source, name, who), found, failed)

    def leave(self) -> None:
        """Give up what is listed, read and judged."""
        for group in ("hub-list", "hub-read", "hub-judge", "hub-card"):
            self._workers.stop(group)

    def _ask(
        self,
        group: str,
        ask: Callable[[Attention], Answer],
        found: Callable[[Answer], None],
        failed: Failed,
    ) -> None:
        async def run() -> None:
            attention = self._attention()
            try:
                answer = await call_apart(lambda: ask(attention))
            except ModeldeckError as error:
                failed(error)
            else:
                found(answer)
            finally:
                attention.end()

        self._workers.start(group, run)

    def read(
        self, variants: Sequence[Variant], read: Callable[[tuple[Variant, ...]], None]
    ) -> None:
        """Read headers; those that come in together are told together."""

        async def run() -> None:
            attention, come = self._attention(), list[Variant]()
            reading = asyncio.create_task(
                call_apart(lambda: self._source.read(variants, come.append, attention))
            )
            try:
                while not reading.done():
                    await asyncio.wait((reading,), timeout=GATHER_S)
                    if come:
                        batch = tuple(come)
                        del come[: len(batch)]
                        read(batch)
                await reading
            finally:
                attention.end()

        self._workers.start("hub-read", run)

    def judge(
        self,
        variants: Sequence[Variant],
        options: Options,
        card: Card,
        judged: Callable[[tuple[Variant, ...], Best | None], None],
    ) -> None:
        """Judge what is read, and choose among it."""

        def ask() -> tuple[tuple[Variant, ...], Best | None]:
            found = self._source.judge(variants, options, card)
            return found, self._source.best(found, options, card)

        async def run() -> None:
            judged(*await call_apart(ask))

        self._workers.start("hub-judge", run)
