"""JSON, one object a line, over a socket that a child inherited. Both ends use it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any

Table = Mapping[str, Any]

_READ_BYTES = 1 << 16
MOST_LINE_BYTES = 64 << 20
"""The longest line that is read: a conversation of several million characters, or many images."""


def packed(message: Table) -> bytes:
    """One message as a line; text that is no Unicode is replaced."""
    return json.dumps(message, ensure_ascii=True).encode("ascii") + b"\n"


def messages(channel: socket.socket) -> Iterator[Table]:
    """The messages of the other end until it closes. Raises ValueError for what is none."""
    rest = bytearray()
    while data := channel.recv(_READ_BYTES):
        *whole, begun = data.split(b"\n")
        for line in whole:
            yield json.loads(bytes(rest) + line)
            rest.clear()
        rest += begun
        if len(rest) > MOST_LINE_BYTES:
            raise ValueError("a line without end")
