"""The real answers to what the Pulls place asks: from the background process of this user."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from modeldeck.engines.pulls.client import Pulls, PullsClient
from modeldeck.tui.pull_command import client_of, destination_of_target
from modeldeck.tui.pulls_state import PullsNews

if TYPE_CHECKING:
    from modeldeck.tui.settings import Settings

_STOP_SECONDS: Final = 0.25
"""Leaving the deck waits for this long at most."""
_LOOK_TIMES: Final = 4
"""So many times that long, and a process that pulls is looked for again."""


class PullsAnswers:
    """The background process of this user, through its client; each call has its own connection."""

    def __init__(self, settings: Settings) -> None:
        """Ask nothing yet."""
        self._settings = settings

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def watch(self, on_news: Callable[[PullsNews], None], should_stop: Callable[[], bool]) -> None:
        """Tell how the pulls stand, now and whenever that changes, until it should stop."""
        asyncio.run(self._watch(on_news, should_stop))

    async def _watch(
        self, on_news: Callable[[PullsNews], None], should_stop: Callable[[], bool]
    ) -> None:
        """Follows one process after the other, and starts none."""
        client = self._client()
        told: PullsNews | None = None
        while not should_stop():
            if client.running():
                await self._follow(client, on_news, should_stop)
                told = None
            if (news := _news(client.kept(), running=client.running())) != told:
                told = news
                on_news(news)
            for _ in range(_LOOK_TIMES):
                if not should_stop():
                    await asyncio.sleep(_STOP_SECONDS)

    async def _follow(
        self,
        client: PullsClient,
        on_news: Callable[[PullsNews], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Until this process ends, or it should stop."""

        async def tell() -> None:
            async for state in client.watch():
                on_news(_news(state, running=True))

        telling = asyncio.ensure_future(tell())
        try:
            while not telling.done() and not should_stop():
                await asyncio.wait({telling}, timeout=_STOP_SECONDS)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    def add(self, targets: Sequence[str]) -> None:
        """Have these pulled, each to where it belongs."""
        wishes = [(one, destination_of_target(one, "", self._settings)) for one in targets]

        async def add(client: PullsClient) -> None:
            for target, destination in wishes:
                await client.add(target, destination)

        self._ask(add)

    def pause(self, pull_id: str) -> None:
        """Let a pull rest."""
        self._ask(lambda client: client.pause(pull_id))

    def resume(self, pull_id: str) -> None:
        """Let a pull go on."""
        self._ask(lambda client: client.resume(pull_id))

    def retry(self, pull_id: str) -> None:
        """Try a pull again."""
        self._ask(lambda client: client.resume(pull_id))

    def cancel(self, pull_id: str) -> None:
        """End a pull."""
        self._ask(lambda client: client.cancel(pull_id))

    def first(self, pull_id: str) -> None:
        """Do a pull before all others."""
        self._ask(lambda client: client.first(pull_id))

    def limit(self, bytes_per_second: int | None) -> None:
        """What all pulls may take together; None for no limit."""
        self._ask(lambda client: client.limit(bytes_per_second))

    def clear(self) -> None:
        """Forget the pulls that have ended."""
        self._ask(lambda client: client.clear())

    def _client(self) -> PullsClient:
        return client_of(self._settings)

    def _ask(self, ask: Callable[[PullsClient], Awaitable[None]]) -> None:
        async def run() -> None:
            await ask(self._client())

        asyncio.run(run())


def _news(state: Pulls, *, running: bool) -> PullsNews:
    return PullsNews(state.pulls, state.bytes_per_second, running)
