"""Ways in which a server of files is not as it should be, each a behaviour for ``serving``."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping

from tests.support.file_server import Behaviour, Request, well


async def ignores_ranges(request: Request) -> None:
    """Sends the whole file, whatever is asked for."""
    request.headers.pop("Range", None)
    await well(request)


async def pours_for_ever(request: Request) -> None:
    """Sends the file, and goes on."""
    content = request.server.files[request.path]
    await request.head(200, {"Content-Length": 1 << 40})
    await request.body(content)
    while True:
        await request.body(bytes(1 << 16))


async def shifts(request: Request) -> None:
    """Gives the bytes after those that were asked for."""
    content = request.server.files[request.path]
    first, last = request.range or (0, 0)
    body = content[first + 1 : last + 2]
    span = f"bytes {first + 1}-{first + len(body)}/{len(content)}"
    await request.answer(206, {"Content-Range": span}, body)


async def says_nothing_of_the_range(request: Request) -> None:
    """Answers 206 without a Content-Range."""
    await request.answer(206, {}, request.server.files[request.path][:100])


async def other_total_each_time(request: Request) -> None:
    """The file has another length in each answer."""
    content = request.server.files[request.path]
    first, last = request.range or (0, 0)
    body = content[first : last + 1]
    total = len(content) + request.number
    await request.answer(206, {"Content-Range": f"bytes {first}-{last}/{total}"}, body)


async def one_byte_each_time(request: Request) -> None:
    """Gives one byte of what was asked for."""
    content = request.server.files[request.path]
    first, _ = request.range or (0, 0)
    span = f"bytes {first}-{first}/{len(content)}"
    await request.answer(206, {"Content-Range": span}, content[first : first + 1])


async def sends_more_than_it_says(request: Request) -> None:
    """Goes on after the end of the range that it names."""
    content = request.server.files[request.path]
    first, last = request.range or (0, 0)
    await request.answer(
        206, {"Content-Range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 5000]
    )


async def compresses(request: Request) -> None:
    """Sends gzip, although identity was asked for."""
    content = request.server.files[request.path]
    await request.answer(200, {"Content-Encoding": "gzip"}, gzip.compress(content[:1000]))


async def web_page(request: Request) -> None:
    """A page that says sorry, and HTTP 200."""
    await request.answer(200, {"Content-Type": "text/html"}, b"<html><h1>Log in</h1></html>")


async def does_not_say_how_long(request: Request) -> None:
    """Chunks without a length."""
    await request.head(200, {"Transfer-Encoding": "chunked"})
    await request.body(b"4\r\nGGUF\r\n0\r\n\r\n")


async def circles(request: Request) -> None:
    """Redirects to itself."""
    await request.answer(302, {"Location": request.path})


async def trickles(request: Request) -> None:
    """Sends the head at once, then a byte now and then."""
    content = request.server.files[request.path]
    first, last = request.range or (0, len(content) - 1)
    span = f"bytes {first}-{last}/{len(content)}"
    await request.head(206, {"Content-Range": span, "Content-Length": last + 1 - first})
    for at in range(first, last):
        await request.body(content[at : at + 1])
        await asyncio.sleep(0.02)


async def trickles_its_head(request: Request) -> None:
    """Never comes to the end of its headers."""
    request.writer.write(b"HTTP/1.1 206 X\r\nX: ")
    while True:
        request.writer.write(b"X")
        await request.writer.drain()
        await asyncio.sleep(0.02)


async def says_continue_for_ever(request: Request) -> None:
    """Sends interim answers, and never the one that counts."""
    while True:
        request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
        await request.writer.drain()
        await asyncio.sleep(0.001)


async def floods_with_headers(request: Request) -> None:
    """Sends headers without an end."""
    request.writer.write(b"HTTP/1.1 206 X\r\n")
    while True:
        request.writer.write(b"X-Flood: %b\r\n" % (b"x" * 1000) * 100)
        await request.writer.drain()


def says(answer: bytes) -> Behaviour:
    """Sends exactly these bytes, and hangs up."""

    async def behave(request: Request) -> None:
        request.writer.write(answer)
        await request.writer.drain()
        request.writer.close()

    return behave


async def silent(request: Request) -> None:
    """Takes the request and says nothing."""
    await asyncio.sleep(3600)


async def no_http(request: Request) -> None:
    """Speaks something else."""
    request.writer.write(b"220 mail.example ESMTP\r\n")
    await request.writer.drain()
    request.hang_up()


def answers(status: int, headers: Mapping[str, object] | None = None) -> Behaviour:
    """Always this status, with nothing."""

    async def behave(request: Request) -> None:
        await request.answer(status, headers or {})

    return behave


def busy(times: int, retry_after: object = None, status: int = 503) -> Behaviour:
    """Too busy for the first ``times`` requests."""

    async def behave(request: Request) -> None:
        if request.number > times:
            await well(request)
            return
        await request.answer(status, {} if retry_after is None else {"Retry-After": retry_after})

    return behave


def drops(body_bytes: int, *, times: int, whole: bool = False) -> Behaviour:
    """Hangs up after so many bytes of each of the first ``times`` answers with as many.

    Args:
        body_bytes: that are sent of an answer.
        times: answers that are cut.
        whole: knows no ranges either.
    """
    left = [times]

    async def behave(request: Request) -> None:
        content = request.server.files[request.path]
        first, last = (None if whole else request.range) or (0, len(content) - 1)
        size = min(last, len(content) - 1) + 1 - first
        if size <= body_bytes or not left[0]:
            await (ignores_ranges if whole else well)(request)
            return
        left[0] -= 1
        span = {} if whole else {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        await request.head(200 if whole else 206, {**span, "Content-Length": size})
        await request.body(content[first : first + body_bytes])
        request.writer.close()

    return behave


def changes(after: int, content: bytes, *, times: int = 1) -> Behaviour:
    """Another file of the same length takes the place of the first, ``times`` times."""
    left = [times]

    async def behave(request: Request) -> None:
        if request.number > after and left[0]:
            left[0] -= 1
            request.server.files[request.path] = content + bytes([left[0]])
        await well(request)

    return behave
