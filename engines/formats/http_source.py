"""A file behind an address, read by ranges: a header without the weights after it.

A server is believed in nothing. One that ignores ranges is refused before its file pours in; one
that sends more than was asked for is cut off; one that lies about the length, stalls or hangs up is
an error with a cause. No read takes longer than its time limits allow.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from modeldeck.engines.errors import FormatError
from modeldeck.engines.text import clean_line

if TYPE_CHECKING:
    import httpx

_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_STEP_SECONDS: Final = 15.0
_WHOLE_SECONDS: Final = 120.0
_MOST_DOCUMENT_BYTES: Final = 8 << 20
_AHEAD: Final = 6
"""Each request may go beyond what is asked for by this part of what was read before: few round
trips, and at most a sixth too much over the wire."""


class HttpSource:
    """A file behind an address. Every read may raise FormatError.

    Attributes:
        received_bytes: over the wire, so far.
        etag: of the file, as the server gave it; may be empty.
    """

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url
        self._until = time.monotonic() + _WHOLE_SECONDS
        self._start, self._buffer = 0, b""
        self._size = 0
        self.received_bytes = 0
        self.etag: str = ""
        self._buffer = self._fetch(0, 1 << 16)

    @property
    def size_bytes(self) -> int:
        """Length of the whole, as the server says."""
        return self._size

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``offset``; fewer only at the end."""
        count = max(min(count, self._size - offset), 0)
        end = self._start + len(self._buffer)
        if not (self._start <= offset and offset + count <= end):
            kept = self._buffer[offset - self._start :] if self._start <= offset < end else b""
            missing = count - len(kept)
            ahead = max(missing, self.received_bytes // _AHEAD)
            self._buffer = kept + self._fetch(offset + len(kept), ahead)
            self._start = offset
        at = offset - self._start
        return self._buffer[at : at + count]

    def _fetch(self, offset: int, count: int) -> bytes:
        if self._size:
            count = min(count, self._size - offset)
        headers = {"Range": f"bytes={offset}-{offset + count - 1}", "Accept-Encoding": "identity"}
        with reached(self._url), self._client.stream("GET", self._url, headers=headers) as reply:
            _refuse_failure(reply.status_code, self._url)
            given = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
            if reply.status_code != 206 or given is None:
                raise FormatError(
                    f"The server of {_host(self._url)} sends only whole files.",
                    "Download the file, then judge it here.",
                )
            first, last, size = map(int, given.groups())
            etag: str = reply.headers.get("ETag", "")
            moved = self._size > 0 and (size != self._size or etag != self.etag)
            if first != offset or not first <= last < size or moved:
                raise _broken(self._url, "it gives other bytes than it was asked for")
            self._size, self.etag = size, etag
            expected = min(count, size - offset)
            received = self._received(reply, expected)
        if len(received) < expected:
            raise _broken(self._url, "it hung up before the end")
        return received

    def _received(self, reply: httpx.Response, expected: int) -> bytes:
        pieces: list[bytes] = []
        left = expected
        for piece in reply.iter_raw(1 << 16):
            self.received_bytes += len(piece)
            pieces.append(piece[:left])
            left -= len(pieces[-1])
            if left <= 0:
                break
            if time.monotonic() > self._until:
                raise _broken(self._url, "it takes too long")
        return b"".join(pieces)


@contextmanager
def web_client(headers: Mapping[str, str]) -> Generator[httpx.Client]:
    """A client that follows a few redirects, and takes ``headers`` to the first host alone."""
    import httpx  # 60 ms

    with httpx.Client(
        follow_redirects=True,
        max_redirects=5,
        timeout=_STEP_SECONDS,
        headers={"User-Agent": "modeldeck", **headers},
    ) as client:
        yield client


def document(client: httpx.Client, url: str, accept: str = "application/json") -> bytes:
    """A small document, whole. Raises FormatError."""
    until = time.monotonic() + _WHOLE_SECONDS
    with reached(url), client.stream("GET", url, headers={"Accept": accept}) as reply:
        _refuse_failure(reply.status_code, url)
        data = bytearray()
        for piece in reply.iter_bytes(1 << 16):
            data += piece
            if len(data) > _MOST_DOCUMENT_BYTES or time.monotonic() > until:
                raise _broken(url, "its answer has no end")
        return bytes(data)


@contextmanager
def reached(url: str) -> Generator[None]:
    """Turn what goes wrong on the way into a FormatError that names the host."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise _broken(url, "it does not answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _broken(url, clean_line(str(error), 120) or type(error).__name__) from error


def _refuse_failure(status: int, url: str) -> None:
    if status in (401, 403):
        raise FormatError(
            f"{_host(url)} does not give this to everybody (HTTP {status}).",
            "Accept the model's licence there, and set HF_TOKEN.",
        )
    if status == 404:
        raise FormatError(f"{_host(url)} has no such file.", "Look at the name again.")
    if not 200 <= status < 300:
        raise FormatError(f"{_host(url)} answered with HTTP {status}.", "Try again later.")


def _broken(url: str, what: str) -> FormatError:
    return FormatError(
        f"{_host(url)} cannot be read from: {what}.", "Try again, or download the file first."
    )


def _host(url: str) -> str:
    return clean_line(urlsplit(url).hostname or "the server", 80)
