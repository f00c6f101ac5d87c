"""How a deck or a command speaks to the process that owns pulls, and starts it where it is not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.home import Owner, PullsHome
from modeldeck.engines.pulls.queue import AT_ONCE, woken
from modeldeck.engines.pulls.types import Destination, PullProgress
from modeldeck.engines.pulls.wire import (
    MOST_BYTES,
    Record,
    destination_record,
    line,
    nonsense,
    progress_of,
    queue_of,
    record_of,
    shown,
)

_START_SECONDS: Final = 15.0
_ANSWER_SECONDS: Final = 15.0
_START_AGAIN_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.05


class _HungUp(PullError):
    """The owner went away in the middle."""


@dataclass(frozen=True, slots=True)
class Pulls:
    """The state of all pulls.

    Attributes:
        pulls: in the order they were asked for.
        bytes_per_second: that all may take together; None for no limit.
    """

    pulls: tuple[PullProgress, ...] = ()
    bytes_per_second: int | None = None


class PullsClient:
    """Speaks to the process that owns pulls. Every call may raise PullError."""

    def __init__(
        self,
        version: str,
        home: PullsHome | None = None,
        *,
        at_once: int = AT_ONCE,
        night: tuple[int, int] = (23 * 60, 7 * 60),
    ) -> None:
        """Prepare; nothing is started.

        Args:
            version: of this modeldeck; an owner of another version is replaced.
            home: the owner's folder, when it is not the usual one.
            at_once: pulls that run at the same time, once one is asked for.
            night: first and last minute of the day for pulls of the night.
        """
        self._at_once = at_once
        self._night = night
        self._version = version
        self._home = home or PullsHome()

    def running(self) -> bool:
        """Somebody owns pulls now."""
        return self._home.owner() is not None

    async def list(self) -> Pulls:
        """The state now; nobody is started for it."""
        return _pulls(await self._ask({"ask": "list"})) if self.running() else self.kept()

    def kept(self) -> Pulls:
        """What the last owner left; nothing at work."""
        try:
            queue = woken(queue_of(self._home.queue.read_text("utf-8")))
        except (OSError, ValueError, PullError):
            return Pulls()
        return Pulls(tuple(map(shown, queue.items)), queue.bytes_per_second)

    async def add(
        self,
        target: str,
        destination: Destination,
        *,
        night: bool = False,
        pickles: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> str:
        """Ask for a pull; its id. One that does the same already is taken for it."""
        answer = await self._ask(
            {
                "ask": "add",
                "target": target,
                "destination": destination_record(destination),
                "endpoint": environ.get("HF_ENDPOINT", ""),
                "night": night,
                "pickles": pickles,
                "at_once": self._at_once,
                "hours": list(self._night),
            }
        )
        return str(answer["id"])

    async def pause(self, pull_id: str) -> None:
        """Hold a pull until it is resumed."""
        await self._ask({"ask": "pause", "id": pull_id})

    async def resume(self, pull_id: str) -> None:
        """Let a pull go on: a paused one, one that waits, failed or was cancelled."""
        await self._ask({"ask": "resume", "id": pull_id})

    async def cancel(self, pull_id: str) -> None:
        """Give a pull up."""
        await self._ask({"ask": "cancel", "id": pull_id})

    async def first(self, pull_id: str) -> None:
        """Run a pull before the others."""
        await self._ask({"ask": "first", "id": pull_id})

    async def limit(self, bytes_per_second: int | None) -> None:
        """What all pulls may take together; None for no limit."""
        await self._ask({"ask": "limit", "bytes_per_second": bytes_per_second})

    async def clear(self) -> None:
        """Forget the pulls that are over."""
        await self._ask({"ask": "clear"})

    async def end(self) -> None:
        """End the owner; what is at work goes on with the next one."""
        if self.running():
            await self._ask_once({"ask": "end"})

    async def watch(self) -> AsyncIterator[Pulls]:
        """The state, again whenever it is another; ends when the owner does."""
        async with self._connected() as (reader, writer):
            writer.write(line({"ask": "watch"}))
            await writer.drain()
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while data := await reader.readline():
                    yield _pulls(record_of(data))

    async def _ask(self, record: Record) -> Record:
        """Ask, and once more where the owner dies over it: asking twice is as good as once."""
        with suppress(_HungUp):
            return await self._ask_once(record)
        return await self._ask_once(record)

    async def _ask_once(self, record: Record) -> Record:
        async with self._connected() as (reader, writer):
            return await _answer(reader, writer, record)

    @asynccontextmanager
    async def _connected(
        self,
    ) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await self._reached()
        try:
            yield reader, writer
        except (OSError, asyncio.IncompleteReadError) as error:
            raise _HungUp(
                "The process that owns the downloads hung up.", "Try again: they are kept."
            ) from error
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _reached(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to an owner of this version, which is started where there is none."""
        now = asyncio.get_running_loop().time
        until, start_at = now() + _START_SECONDS, now()
        while now() < until:
            owner = self._home.owner()
            if owner is not None:
                if (there := await self._same_version(owner)) is not None:
                    return there
            elif now() >= start_at:
                await _start()
                start_at = now() + _START_AGAIN_SECONDS
            await asyncio.sleep(_POLL_SECONDS)
        raise PullError(
            "The process that owns the downloads does not answer.",
            f"Look at {self._home.log}, or end it and try again.",
        )

    async def _same_version(
        self, owner: Owner
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection; None where there is nobody yet, or one of another version, which ends."""
        try:
            reader, writer = await asyncio.open_unix_connection(owner.socket, limit=MOST_BYTES)
        except (OSError, ValueError):
            return None
        if owner.version == self._version:
            return reader, writer
        with suppress(OSError, PullError, asyncio.IncompleteReadError):
            await _answer(reader, writer, {"ask": "end"})
        writer.close()
        return None


async def _start() -> None:
    """Start an owner apart from this session: it outlives the terminal and this process.

    What is started here leaves at once, and its child is nobody's but init's.
    """
    nothing = subprocess.DEVNULL
    try:
        leaves = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "modeldeck.engines.pulls", "--apart"),
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            start_new_session=True,
            cwd="/",
        )
        await leaves.wait()
    except OSError as error:
        raise PullError(
            f"The process for the downloads cannot be started ({error.strerror}).",
            "Look at the limits of this account.",
        ) from error


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: Record
) -> Record:
    writer.write(line(record))
    await writer.drain()
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            data = await reader.readline()
        if not data:
            raise ConnectionResetError
        answer = record_of(data)
    except (TimeoutError, ValueError) as error:
        raise nonsense() from error
    if isinstance(problem := answer.get("error"), dict):
        table = cast("dict[str, Any]", problem)
        raise PullError(str(table.get("cause")), str(table.get("next_step")))
    return answer


def _pulls(record: Record) -> Pulls:
    found, limit = record.get("pulls"), record.get("bytes_per_second")
    if not isinstance(found, list):
        raise nonsense()
    pulls = tuple(progress_of(one) for one in cast("list[object]", found))
    return Pulls(pulls, limit if isinstance(limit, int) else None)
