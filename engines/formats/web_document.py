"""A small document from a server, whole, or the word that it is still the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.web import Reply, Tries, Web
from modeldeck.engines.formats.web_errors import Unreachable, host, unreachable

MOST_DOCUMENT_BYTES: Final = 4 << 20
_NOT_MODIFIED: Final = 304
_NEXT: Final = re.compile(r'<([^<>]{1,2000})>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class Document:
    """What a server gave.

    Attributes:
        data: all of it.
        etag: what tells it from a later one, as it is to be given back; may be empty.
        next_url: where it goes on, as its ``Link`` header says; empty where it does not.
    """

    data: bytes
    etag: str
    next_url: str = ""


def document(
    web: Web,
    url: str,
    accept: str = "application/json",
    most_bytes: int = MOST_DOCUMENT_BYTES,
    *,
    etag: str = "",
) -> Document | None:
    """Ask for a document until it comes whole; None when it is still the one with that etag.

    Raises:
        Unreachable: it does not come, after several tries.
        FormatError: it is refused, or longer than ``most_bytes``.
    """
    tries = Tries(web)
    headers = {"Accept": accept} | ({"If-None-Match": etag} if etag else {})
    while True:
        try:
            with web.request(url, headers, body_bytes=most_bytes) as reply:
                if etag and reply.status == _NOT_MODIFIED:
                    return None
                return Document(_body(reply, url, most_bytes), _etag(reply), _next(reply))
        except Unreachable as error:
            tries.again(error, gained=False)


def _etag(reply: Reply) -> str:
    """The etag, if it is one that can be given back."""
    etag = reply.headers.get("ETag", "")
    return etag if len(etag) <= 200 and etag.isascii() and etag.isprintable() else ""


def _next(reply: Reply) -> str:
    """The address that the ``Link`` header calls the next one."""
    found = _NEXT.search(reply.headers.get("Link", "")[:4000])
    return found[1] if found and found[1].isascii() and found[1].isprintable() else ""


def _body(reply: Reply, url: str, most_bytes: int) -> bytes:
    reply.refuse_failure()
    length = reply.headers.get("Content-Length", "")
    promised = int(length[:18]) if length.isdecimal() else 0
    if promised > most_bytes:
        raise _too_long(url, most_bytes)
    data = bytearray()
    for piece in reply.pieces:
        data += piece
        if len(data) > most_bytes:
            raise _too_long(url, most_bytes)
    if len(data) < promised:
        raise unreachable(url, "it hung up before the end")
    return bytes(data)


def _too_long(url: str, most_bytes: int) -> FormatError:
    return FormatError(
        f"{host(url)} answers with more than the {most_bytes >> 20} MiB that are read.",
        "Look at the name again.",
    )
