"""A file behind an address, read by ranges: a header without the weights after it.

A range that breaks off is gone on with where it stood. A server that knows no ranges is read from
the start, up to what is needed. One that gives other bytes than it was asked for, or a file that is
no longer the same, is an error with a cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Final

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.web import Reply, Tries, Web
from modeldeck.engines.formats.web_errors import Unreachable, broken, host, unreachable

_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_LENGTH: Final = re.compile(r"\d{1,18}")
_FIRST_BYTES: Final = 4 << 10
_AHEAD: Final = 6
"""A request for what is not known to be needed may go beyond by this part of what was read before:
few round trips, and at most a sixth too much over the wire."""


class Changed(FormatError):
    """The file is no longer the one that was begun with."""


class HttpSource:
    """A file behind an address. Every read may raise FormatError. To be closed.

    Attributes:
        received_bytes: of the file, over the wire, so far.
        validator: what tells this state of the file from others, as the first server gave it; may
            be empty.
    """

    def __init__(self, web: Web, url: str) -> None:
        self._web = web
        self._url = self._direct = url
        self._start, self._buffer = 0, bytearray()
        self._size: int | None = None
        self._etag = ""
        self._whole: Iterator[bytes] | None = None
        self._open = ExitStack()
        self.received_bytes = 0
        self.validator = ""
        try:
            self._fetch(_FIRST_BYTES)
        except BaseException:
            self._open.close()
            raise

    def __enter__(self) -> HttpSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def size_bytes(self) -> int:
        """Length of the whole, as the server says."""
        return self._size or 0

    def read_at(self, offset: int, count: int, needed: int | None = None) -> bytes:
        """Up to ``count`` bytes from ``offset``: all that are needed, and those that are here."""
        needed = count if needed is None else min(needed, count)
        needed = max(min(needed, self.size_bytes - offset), 0)
        if not self._start <= offset <= self._end:
            self._move(offset)
        missing = offset + needed - self._end
        if missing > 0:
            del self._buffer[: offset - self._start]
            self._start = offset
            self._fetch(max(missing, self.received_bytes // _AHEAD))
        at = offset - self._start
        return bytes(self._buffer[at : at + count])

    @property
    def _end(self) -> int:
        return self._start + len(self._buffer)

    def _move(self, offset: int) -> None:
        """Go on at ``offset``, which is not in the buffer."""
        if self._whole is not None:
            if offset < self._start:
                raise _only_whole(self._url)
            while self._end < offset:
                self._start, self._buffer = self._end, bytearray()
                self._pour(min(offset - self._end, 1 << 20))
            return
        self._start, self._buffer = offset, bytearray()

    def _fetch(self, count: int) -> None:
        """Have ``count`` more bytes in the buffer, or all until the end of the file."""
        tries = Tries(self._web)
        until = self._end + count
        while self._end < self._within(until):
            before = self._end
            try:
                if self._whole is not None:
                    self._pour(until - self._end)
                else:
                    self._range(until)
                    if self._whole is None and self._end < self._within(until):
                        raise unreachable(self._url, "it hung up before the end")
            except Unreachable as error:
                self._whole = None
                self._open.close()
                tries.again(error, gained=self._end > before)

    def _within(self, until: int) -> int:
        return until if self._size is None else min(until, self._size)

    def _range(self, until: int) -> None:
        """Take what one request gives of the bytes up to ``until``."""
        first = self._end
        until = self._within(until)
        headers = {"Range": f"bytes={first}-{until - 1}"}
        with ExitStack() as stack:
            reply = stack.enter_context(
                self._web.request(self._direct, headers, body_bytes=until - first)
            )
            if self._direct != self._url and reply.status in (401, 403, 404, 410):
                self._direct = self._url  # a signed address has run out
                raise unreachable(self._url, "the address that it gave is no longer good")
            if reply.status == 416:
                self._same(reply, 0)  # the only file that has no first byte
                return
            reply.refuse_failure()
            self._direct = reply.url
            if reply.status != 206:
                self._begin_whole(reply, stack)
                return
            given = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
            if given is None:
                raise broken(self._url, "it does not say which bytes it gives")
            at, last, size = map(int, given.groups())
            if at != first or not at <= last < size:
                raise broken(self._url, "it gives other bytes than it was asked for")
            self._same(reply, size)
            self._take(reply.pieces, min(until, last + 1) - first)

    def _same(self, reply: Reply, size: int) -> None:
        """Hold what an answer says of the file against what the first one said."""
        etag = _without_weakness(reply.headers.get("ETag", ""))
        if self._size is None:
            self._size, self._etag = size, etag
            self.validator = validator(reply)
        elif size != self._size or (etag and self._etag and etag != self._etag):
            raise _changed(self._url)

    def _take(self, pieces: Iterator[bytes], count: int) -> None:
        for piece in pieces:
            self.received_bytes += len(piece)
            self._buffer += piece[:count]
            count -= len(piece)
            if count <= 0:
                return

    def _begin_whole(self, reply: Reply, stack: ExitStack) -> None:
        """Read on from an answer that is the whole file, from its start."""
        length = reply.headers.get("Content-Length", "")
        if reply.headers.get("Content-Type", "").strip().lower().startswith("text/html"):
            raise FormatError(
                f"{host(self._url)} gives a web page instead of the file.",
                "Give the address of the file itself; on the Hub it has /resolve/ in it.",
            )
        if not _LENGTH.fullmatch(length):
            raise broken(self._url, "it does not say how long the file is")
        self._same(reply, int(length))
        begin = self._start
        self._start, self._buffer = 0, bytearray()
        self._whole = reply.pieces
        self._open = stack.pop_all()
        self._move(begin)

    def _pour(self, count: int) -> None:
        """Take at least ``count`` more bytes from the whole file."""
        assert self._whole is not None
        begun = len(self._buffer)
        self._web.expect(count)
        with self._web.told(self._url):
            for piece in self._whole:
                self.received_bytes += len(piece)
                self._buffer += piece
                if len(self._buffer) - begun >= count:
                    return
        if self._end < self.size_bytes:
            raise unreachable(self._url, "it hung up before the end")


def validator(reply: Reply) -> str:
    """What tells one state of a file from others: the server's word for it, or its time.

    The Hub keeps files elsewhere, and gives the digest of each with the way to it.
    """
    for headers in (reply.linked, reply.headers):
        for name in ("X-Linked-Etag", "ETag"):
            if etag := _without_weakness(_header(headers, name)):
                return etag
    return _header(reply.headers, "Last-Modified")


def _header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name, "").strip()[:200]


def _without_weakness(etag: str) -> str:
    return etag.strip().removeprefix("W/")


def _changed(url: str) -> Changed:
    return Changed(
        f"{host(url)} changes the file while it is read.", "Try again when it is all there."
    )


def _only_whole(url: str) -> FormatError:
    return FormatError(
        f"The server of {host(url)} sends only whole files.",
        "Download the file, then judge it here.",
    )
