"""Asks other machines, and remembers what they said: the same is not asked for twice.

Nothing is lost where nothing can be kept, or where what is kept is damaged: then it is asked again.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from modeldeck.engines.formats.gguf_outline import Outline, Recorded, outline_of
from modeldeck.engines.formats.http_source import HttpSource, validator
from modeldeck.engines.formats.web import Tries, Web
from modeldeck.engines.formats.web_document import MOST_DOCUMENT_BYTES, Document, document
from modeldeck.engines.formats.web_errors import Unreachable
from modeldeck.engines.store.database import StoreError
from modeldeck.engines.store.headers import READER_VERSION, decode, encode
from modeldeck.engines.store.remote_answers import KeptAnswer, RemoteAnswers
from modeldeck.engines.types import ModelHeader

_NO_HEAD: Final = frozenset({400, 401, 403, 405, 501})
"""What servers say that give a file but not its head: addresses signed for GET alone, for one."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the files of a model say.

    Attributes:
        header: of all of them.
        size_bytes: of all of them.
        state: told these files from later ones; may be empty.
        outlines: of GGUF files, in the order of their numbers.
    """

    header: ModelHeader
    size_bytes: int
    state: str
    outlines: tuple[Outline, ...] = ()


class RemoteMemory:
    """Questions to one target's servers.

    Attributes:
        web: that sends them.
        as_of: when the oldest answer was true that stands in for a server which cannot be reached,
            in seconds since 1970; None as long as all could be.
    """

    def __init__(self, web: Web, answers: RemoteAnswers | None) -> None:
        self.web = web
        self.as_of: float | None = None
        self._answers = answers

    def document(
        self, url: str, accept: str = "application/json", most_bytes: int = MOST_DOCUMENT_BYTES
    ) -> bytes:
        """A small document; the last one where the server cannot be reached. Raises FormatError."""
        kept = self._kept(url)
        try:
            got = document(self.web, url, accept, most_bytes, etag=kept.state if kept else "")
        except Unreachable:
            if kept is None:
                raise
            return self._stale(kept).answer
        if isinstance(got, Document):
            self._keep(url, got.etag, got.data)
            return got.data
        self._still_true(url)
        assert kept is not None
        return kept.answer

    def page(self, url: str) -> tuple[bytes, str]:
        """A part of a longer list, and the address of the next part; empty at the end.

        The last one where the server cannot be reached. Raises FormatError.
        """
        key = f"page {url}"
        kept = self._kept(key)
        try:
            got = document(self.web, url, etag=kept.state if kept else "")
        except Unreachable:
            if kept is None:
                raise
            return _page(self._stale(kept).answer)
        if isinstance(got, Document):
            self._keep(key, got.etag, f"{got.next_url}\n".encode() + got.data)
            return got.data, got.next_url
        self._still_true(key)
        assert kept is not None
        return _page(kept.answer)

    def described(
        self, key: str, listed: str, urls: Sequence[str], read: Callable[[], Described]
    ) -> Described:
        """What ``read`` finds, unless it found it before in files of the same state.

        Args:
            key: what tells these files from others.
            listed: their state, where it is known already.
            urls: of the files that would tell it otherwise; none where they would be too many.
            read: reads them.

        Raises:
            FormatError: neither the files can be read, nor were they before.
        """
        kept = self._kept(key)
        known = _decoded(kept) if kept else None
        try:
            now = listed or (self._state_of(urls) if known else "")
            if kept and known and now and kept.state == _stamp(now):
                self._still_true(key)
                return known
            found = read()
        except Unreachable:
            if kept is None or known is None:
                raise
            self._stale(kept)
            return known
        self._keep(key, _stamp(listed or found.state), _encoded(found))
        return found

    def _state_of(self, urls: Sequence[str]) -> str:
        """What tells the files there from later ones, without reading them; empty when unknown."""
        tries = Tries(self.web)
        states: list[str] = []
        while len(states) < len(urls):
            try:
                with self.web.request(urls[len(states)], {}, method="HEAD") as reply:
                    if reply.status in _NO_HEAD:
                        return ""
                    if reply.status >= 400:
                        reply.refuse_failure()
                    states.append(validator(reply))
            except Unreachable as error:
                tries.again(error, gained=False)
        return joined(states)

    def _stale(self, kept: KeptAnswer) -> KeptAnswer:
        self.as_of = min(kept.seen, self.as_of or time.time())
        return kept

    def _kept(self, address: str) -> KeptAnswer | None:
        with suppress(StoreError):
            return self._answers.of(address) if self._answers else None
        return None

    def _keep(self, address: str, state: str, answer: bytes) -> None:
        with suppress(StoreError):
            if self._answers:
                self._answers.keep(address, state, answer)

    def _still_true(self, address: str) -> None:
        with suppress(StoreError):
            if self._answers:
                self._answers.still_true(address)


def joined(states: Sequence[str]) -> str:
    """The state of several files as one; empty when one of them is unknown."""
    return json.dumps(states) if states and all(states) else ""


def described_gguf(web: Web, urls: Sequence[str]) -> Described:
    """What the GGUF files of one model say, in the order of their numbers. Raises FormatError."""
    from modeldeck.engines.formats.gguf import GgufFile, read_with_spans
    from modeldeck.engines.formats.header import header_of

    parts: list[GgufFile] = []
    outlines: list[Outline] = []
    states: list[str] = []
    size_bytes = 0
    for url in urls:
        with HttpSource(web, url) as source:
            recorded = Recorded(source)
            file, spans = read_with_spans(recorded)
            parts.append(file)
            outlines.append(outline_of(file, spans, recorded.again))
            states.append(source.validator)
            size_bytes += source.size_bytes
    return Described(header_of(parts), size_bytes, joined(states), tuple(outlines))


def _stamp(state: str) -> str:
    """A state, for this reader: a later one may find more in the same files."""
    return f"{READER_VERSION}:{state}" if state else ""


def _encoded(found: Described) -> bytes:
    outlines = [(b64encode(one.header).decode(), one.size_bytes) for one in found.outlines]
    return json.dumps([found.size_bytes, encode(found.header), outlines]).encode()


def _decoded(kept: KeptAnswer) -> Described | None:
    """What was kept; None where it is damaged."""
    try:
        whole: Any = json.loads(kept.answer)
        size_bytes, text, outlines = whole
        kept_outlines = tuple([Outline(b64decode(data), int(size)) for data, size in outlines])
        return Described(decode(text), int(size_bytes), kept.state, kept_outlines)
    except (ValueError, LookupError, TypeError, RecursionError, AttributeError):
        return None


def _page(kept: bytes) -> tuple[bytes, str]:
    first, _, data = kept.partition(b"\n")
    return data, first.decode("ascii", "replace")
