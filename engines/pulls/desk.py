"""Where clients come in: a private Unix socket, a JSON object on each line.

A client says what it wants as ``{"ask": …}`` and gets one object back; after ``watch`` it gets the
state again and again, until it hangs up.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.pulls import queue as q
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.service import Service
from modeldeck.engines.pulls.wire import (
    MOST_BYTES,
    Record,
    destination_of,
    line,
    nonsense,
    progress_record,
    record_of,
)

_NEWS_SECONDS: Final = 0.1
_MOST_CLIENTS: Final = 64
_CREDENTIALS: Final = struct.Struct("3i")


class Desk:
    """Answers clients."""

    def __init__(self, service: Service, version: str) -> None:
        self._service = service
        self._version = version
        self._asks: Mapping[str, Callable[[Record], Record]] = {
            "hello": self._hello,
            "list": lambda _: self._state(),
            "add": self._add,
            "pause": lambda record: self._change(record, q.paused),
            "resume": lambda record: self._change(record, q.resumed),
            "cancel": lambda record: self._change(record, lambda item: q.cancelled(item, _now())),
            "first": self._first,
            "limit": self._limit,
            "clear": self._clear,
            "end": self._end,
        }

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it hangs up."""
        self._service.clients += 1
        try:
            if self._service.clients <= _MOST_CLIENTS and is_ours(writer):
                await self._answer(reader, writer)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._service.clients -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.readline():
            self._service.came()
            try:
                record = record_of(data)
                ask = str(record.get("ask"))
                if ask == "watch":
                    await self._watch(reader, writer)
                    return
                if ask not in self._asks:
                    raise nonsense()
                answer = self._asks[ask](record)
            except ModeldeckError as error:
                answer = {"error": {"cause": error.cause, "next_step": error.next_step}}
            writer.write(line(answer))
            await writer.drain()

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send the state whenever it is another, until the client hangs up."""
        gone = asyncio.ensure_future(reader.read(1))
        with self._service.watching() as news:
            news.set()
            try:
                while not gone.done():
                    waiting = asyncio.ensure_future(news.wait())
                    await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                    if gone.done():
                        return
                    news.clear()
                    writer.write(line(self._state()))
                    await writer.drain()
                    await asyncio.wait({gone}, timeout=_NEWS_SECONDS)
            finally:
                gone.cancel()

    def _hello(self, _: Record) -> Record:
        return {"version": self._version, "pid": os.getpid()}

    def _state(self) -> Record:
        return {
            "pulls": [progress_record(one) for one in self._service.progress()],
            "bytes_per_second": self._service.bytes_per_second,
        }

    def _add(self, record: Record) -> Record:
        match record.get("at_once"), record.get("hours"):
            case int() as at_once, [int() as begins, int() as ends] if 1 <= at_once <= 8:
                self._service.configure(at_once, q.Night(begins % 1440, ends % 1440))
            case _:
                pass
        item_id = self._service.add(
            _text(record, "target"),
            destination_of(record.get("destination")),
            endpoint=_text(record, "endpoint"),
            night=record.get("night") is True,
            pickles=record.get("pickles") is True,
        )
        return {"id": item_id}

    def _change(self, record: Record, change: Callable[[q.Item], q.Item]) -> Record:
        return _found(self._service.change(_text(record, "id"), change))

    def _first(self, record: Record) -> Record:
        return _found(self._service.first(_text(record, "id")))

    def _limit(self, record: Record) -> Record:
        limit = record.get("bytes_per_second")
        if limit is not None and not (isinstance(limit, int) and limit >= 1024):
            raise PullError("A limit is at least 1 KiB a second.", "Give more, or 0 for no limit.")
        self._service.limit(limit)
        return {}

    def _clear(self, _: Record) -> Record:
        self._service.clear()
        return {}

    def _end(self, _: Record) -> Record:
        self._service.end()
        return {}


def is_ours(writer: asyncio.StreamWriter) -> bool:
    """The client is this user; where the kernel does not say, the folder has kept others out."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    connection: socket.socket = writer.get_extra_info("socket")
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(said)
    return bool(uid == os.getuid())


def _found(there: bool) -> Record:
    if not there:
        raise PullError("There is no such download.", "List them with: modeldeck pulls")
    return {}


def _text(record: Record, key: str) -> str:
    value = record.get(key, "")
    if not isinstance(value, str) or len(value) > MOST_BYTES // 64:
        raise nonsense()
    return value


def _now() -> float:
    import time

    return time.time()
