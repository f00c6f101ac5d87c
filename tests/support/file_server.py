"""A real HTTP server on loopback that serves bytes by ranges, or behaves as a test says.

It speaks HTTP by hand, so that a behaviour can break it anywhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_PIECE_BYTES = 64 << 10


@dataclass
class Request:
    """One request, and the way to answer it.

    Attributes:
        number: from 1, over all connections.
        method: ``GET`` or ``HEAD``.
        path: with its query.
        headers: as sent.
        server: that got it.
    """

    number: int
    method: str
    path: str
    headers: dict[str, str]
    server: FileServer
    writer: asyncio.StreamWriter

    @property
    def range(self) -> tuple[int, int] | None:
        """First and last byte asked for."""
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        return (int(found[1]), int(found[2])) if found else None

    async def head(self, status: int, headers: Mapping[str, object]) -> None:
        """Send a status and headers."""
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
        await self._send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def body(self, data: bytes) -> None:
        """Send a part of a body; what nobody takes any more is not counted."""
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            self.server.sent_bytes += len(piece)
            await self._send(piece)

    async def answer(self, status: int, headers: Mapping[str, object], data: bytes = b"") -> None:
        """Send a whole answer."""
        await self.head(status, {"Content-Length": len(data), **headers})
        if self.method != "HEAD":
            await self.body(data)

    def hang_up(self) -> None:
        """Close the connection at once."""
        self.writer.transport.abort()

    async def _send(self, data: bytes) -> None:
        self.server.wire_bytes += len(data)
        self.writer.write(data)
        await self.writer.drain()


Behaviour = Callable[[Request], Awaitable[None]]


@dataclass
class FileServer:
    """What is served under which path, and how.

    Attributes:
        files: content by path; may be changed while it serves.
        length: that files are said to have, zeros after their content; 0 for their own.
        behave: answers a request.
        url: of the server.
        seen: every request.
        sent_bytes: of bodies.
        wire_bytes: of everything sent, the heads too.
        answering: what answers the connections.
    """

    files: dict[str, bytes]
    behave: Behaviour
    length: int = 0
    url: str = ""
    seen: list[Request] = field(default_factory=list["Request"], repr=False)
    sent_bytes: int = 0
    wire_bytes: int = 0
    answering: set[asyncio.Task[None]] = field(
        default_factory=set["asyncio.Task[None]"], repr=False
    )

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        if (task := asyncio.current_task()) is not None:
            self.answering.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing():
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = dict(line.split(": ", 1) for line in lines[1:] if line)
                request = Request(len(self.seen) + 1, method, path, headers, self, writer)
                self.seen.append(request)
                await self.behave(request)
        writer.transport.abort()


async def well(request: Request) -> None:
    """As a good server does: ranges, a length, an etag."""
    content = request.server.files.get(request.path.partition("?")[0])
    if content is None:
        await request.answer(404, {})
        return
    headers: dict[str, object] = {"ETag": etag(content), "Accept-Ranges": "bytes"}
    if request.range is None:
        if request.headers.get("If-None-Match") == headers["ETag"]:
            await request.head(304, headers)
        elif request.method == "HEAD":
            await request.head(200, headers | {"Content-Length": len(content)})
        else:
            await request.answer(200, headers, content)
        return
    first, last = request.range
    size = request.server.length or len(content)
    if first >= size:
        await request.answer(416, headers | {"Content-Range": f"bytes */{size}"})
        return
    last = min(last, size - 1)
    body = content[first : last + 1].ljust(last + 1 - first, b"\0")
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    await request.answer(206, headers, body)


@lru_cache(maxsize=8)
def etag(content: bytes) -> str:
    """What ``well`` calls this content."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


@contextmanager
def serving(files: Mapping[str, bytes], behave: Behaviour = well) -> Generator[FileServer]:
    """Serve until the block ends."""
    state = FileServer(dict(files), behave)
    loop = asyncio.new_event_loop()
    listening = threading.Event()
    done = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(state.connected, "127.0.0.1", 0)
        state.url = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
        listening.set()
        await done.wait()
        server.close()
        await asyncio.sleep(0.01)  # what was just accepted becomes a connection
        while others := asyncio.all_tasks() - state.answering - {asyncio.current_task()}:
            await asyncio.wait(others)
        for task in state.answering:
            task.cancel()
        await asyncio.gather(*state.answering, return_exceptions=True)
        await asyncio.sleep(0.01)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    listening.wait()
    try:
        yield state
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
