"""A small document from a server, whole."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.web import (
    Tries,
    Unreachable,
    Web,
    host,
    refuse_failure,
    unreachable,
)

MOST_DOCUMENT_BYTES: Final = 8 << 20


def document(
    web: Web, url: str, accept: str = "application/json", most_bytes: int = MOST_DOCUMENT_BYTES
) -> bytes:
    """Ask for a document until it comes whole.

    Raises:
        Unreachable: it does not come, after several tries.
        FormatError: it is refused, or longer than ``most_bytes``.
    """
    tries = Tries(web)
    while True:
        try:
            return _once(web, url, accept, most_bytes)
        except Unreachable as error:
            tries.again(error, gained=False)


def _once(web: Web, url: str, accept: str, most_bytes: int) -> bytes:
    with web.request(url, {"Accept": accept}, body_bytes=most_bytes) as reply:
        refuse_failure(reply)
        length = reply.headers.get("Content-Length", "")
        if length.isdecimal() and int(length[:18]) > most_bytes:
            raise _too_long(url, most_bytes)
        data = bytearray()
        for piece in reply.pieces:
            data += piece
            if len(data) > most_bytes:
                raise _too_long(url, most_bytes)
        if length.isdecimal() and len(data) < int(length[:18]):
            raise unreachable(url, "it hung up before the end")
        return bytes(data)


def _too_long(url: str, most_bytes: int) -> FormatError:
    return FormatError(
        f"{host(url)} answers with more than the {most_bytes >> 20} MiB that are read.",
        "Look at the name again.",
    )
