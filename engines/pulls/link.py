"""The way to one file: where it really is, how long it is, and what tells its state.

A registry answers with the address of a storage host, signed for a while. All connections of a
transfer share that address, and ask for another when it has run out.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from modeldeck.engines.formats.http_source import Changed, validator
from modeldeck.engines.formats.web import Login, Patience, Reply, Web, web_of
from modeldeck.engines.formats.web_errors import broken, host, unreachable
from modeldeck.engines.pulls.control import Control
from modeldeck.engines.units import MIB

_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_LENGTH: Final = re.compile(r"\d{1,18}")
_GONE: Final = frozenset({401, 403, 404, 410})
_UNKNOWN_BYTES: Final = 4 * MIB
_WHOLE_TRANSFER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says of a file.

    Attributes:
        size_bytes: None where it does not say.
        state: what tells it from a later one; may be empty.
        has_ranges: parts of it can be asked for.
    """

    size_bytes: int | None
    state: str
    has_ranges: bool


class Link:
    """The way to one file, for several connections."""

    def __init__(self, url: str, login: Login | None, patience: Patience, control: Control) -> None:
        self.url = url
        self._login = login
        self._patience = patience
        self._control = control
        self._lock = threading.Lock()
        self._direct = url
        self._etag = ""
        self._state = ""
        self._conditional = True

    @contextmanager
    def connection(self) -> Generator[Web]:
        """Something to send requests from, which a stop hangs up. For one thread."""
        sleep: Callable[[float], None] = self._control.sleep
        with (
            web_of(self._login, self._patience, sleep) as web,
            self._control.ending(web.hang_up),
        ):
            web.until = _WHOLE_TRANSFER
            yield web

    def facts(self, web: Web) -> Facts:
        """Ask for the first byte alone. Raises FormatError."""
        with web.request(self.url, {"Range": "bytes=0-0"}) as reply:
            if reply.status == 416:
                return Facts(0, validator(reply), has_ranges=False)
            reply.refuse_failure()
            state = validator(reply)
            if reply.status != 206:
                return Facts(self._whole_length(reply), state, has_ranges=False)
            _, _, size = self._given(reply)
            with self._lock:
                self._direct, self._etag = reply.url, reply.headers.get("ETag", "")
                self._state = state
            return Facts(size, state, has_ranges=True)

    @contextmanager
    def range(self, web: Web, first: int, last: int, size_bytes: int) -> Generator[Iterator[bytes]]:
        """The bytes from ``first`` to ``last``, as they come; maybe fewer, never others.

        Raises:
            Changed: the file is no longer the one that was begun with.
            FormatError: the server cannot be asked, or gives something else.
        """
        with self._lock:
            there, etag, conditional = self._direct, self._etag, self._conditional
        asked = {"Range": f"bytes={first}-{last}"}
        if conditional and etag.startswith('"'):
            asked["If-Range"] = etag
        with web.request(there, asked, body_bytes=last + 1 - first) as reply:
            if there != self.url and reply.status in _GONE:
                with self._lock:
                    self._direct, self._etag = self.url, ""
                raise unreachable(self.url, "the address that it gave is no longer good")
            if reply.status == 416:
                raise changed(self.url)
            reply.refuse_failure()
            if reply.status != 206:
                if "If-Range" in asked and reply.headers.get("ETag") == etag:
                    self._conditional = False
                    raise unreachable(self.url, "it sends all of an unchanged file")
                raise changed(self.url)
            at, end, size = self._given(reply)
            if at != first or end > last:
                raise broken(self.url, "it gives other bytes than it was asked for")
            if size != size_bytes:
                raise changed(self.url)
            self._same(reply, there, etag)
            yield reply.pieces

    @contextmanager
    def whole(
        self, web: Web, expected_bytes: int | None
    ) -> Generator[tuple[Facts, Iterator[bytes]]]:
        """All of it from the start, from a server without ranges. Raises FormatError."""
        with web.request(self.url, {}, body_bytes=expected_bytes or _UNKNOWN_BYTES) as reply:
            reply.refuse_failure()
            facts = Facts(self._whole_length(reply), validator(reply), has_ranges=False)
            yield facts, reply.pieces

    def _given(self, reply: Reply) -> tuple[int, int, int]:
        given = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        if given is None:
            raise broken(self.url, "it does not say which bytes it gives")
        first, last, size = map(int, given.groups())
        if not first <= last < size:
            raise broken(self.url, "it gives other bytes than it was asked for")
        return first, last, size

    def _same(self, reply: Reply, asked: str, known: str) -> None:
        """Hold what an answer says of the file against what was said before."""
        etag = reply.headers.get("ETag", "")
        state = validator(reply) if asked == self.url else ""
        with self._lock:
            if (etag and known and etag != known) or (state and state != (self._state or state)):
                raise changed(self.url)
            if asked == self.url:
                self._direct, self._etag = reply.url, etag

    def _whole_length(self, reply: Reply) -> int | None:
        refuse_page(self.url, reply.headers)
        length = reply.headers.get("Content-Length", "")
        return int(length) if _LENGTH.fullmatch(length) else None


def refuse_page(url: str, headers: Mapping[str, str]) -> None:
    """Raise FormatError when an answer is a page for people."""
    if headers.get("Content-Type", "").strip().lower().startswith("text/html"):
        raise broken(url, "it gives a web page instead of the file")


def changed(url: str) -> Changed:
    """The error for a file that is another one now."""
    return Changed(f"The file changed on {host(url)}.", "Pull it again when it is all there.")
