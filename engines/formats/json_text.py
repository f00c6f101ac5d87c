"""JSON from strangers: bounded, and never more than a FormatError when it is not sound."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, Final, cast

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.cursor import unsound
from modeldeck.engines.formats.source import ByteSource

MAX_DOCUMENT_BYTES: Final = 4 << 20
"""A document that is read whole; the largest ``config.json`` known is under 200 kB."""

_READ_BYTES: Final = 64 << 10
_SPACE: Final = re.compile(r"[ \t\n\r]*")


def json_object(source: ByteSource, what: str, most: int = MAX_DOCUMENT_BYTES) -> dict[str, object]:
    """The object that a file of JSON holds; a file longer than ``most`` bytes is not read.

    Raises:
        FormatError: it is too long, no JSON, or no object.
        OSError: it cannot be read.
    """
    if source.size_bytes > most:
        raise FormatError(
            f"{what} has {source.size_bytes:,} bytes; no more than {most >> 20} MiB are read.",
            "Download the file again.",
        )
    return object_of(source.read_at(0, source.size_bytes), what)


def object_of(data: bytes, what: str) -> dict[str, object]:
    """The object that bytes of JSON hold. Raises FormatError."""
    try:
        whole: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not sound JSON.", "Download the file again.") from error
    if not isinstance(whole, dict):
        raise FormatError(f"{what} holds no JSON object.", "Download the file again.")
    return cast("dict[str, object]", whole)


class Members:
    """The members of one large JSON object, read piece by piece, so that it may have any length.

    Args:
        source: where it lies.
        offset: its first byte.
        size_bytes: its length, with spaces that follow it.
        most_bytes: the most that one member may have, its name included.
    """

    def __init__(self, source: ByteSource, offset: int, size_bytes: int, most_bytes: int) -> None:
        self._source = source
        self._next = offset
        self._end = offset + size_bytes
        self._most = most_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._json = json.JSONDecoder()
        self._text = ""
        self._at = 0

    def __iter__(self) -> Iterator[tuple[str, object]]:
        """Name and value of each, in the order of the text.

        Raises:
            FormatError: it is no JSON object.
            OSError: it cannot be read.
        """
        if self._symbol() != "{":
            raise unsound("it is no JSON object")
        if self._symbol() == "}":
            return
        self._at -= 1
        while True:
            name = self._value(":")
            self._at += 1
            value = self._value(",}")
            if not isinstance(name, str):
                raise unsound("a name in it is no text")
            yield name, value
            self._at += 1
            if self._text[self._at - 1] == "}":
                return

    def _symbol(self) -> str:
        """The next character that is no space, moved over."""
        while not self._moved_over_space():
            self._more()
        self._at += 1
        return self._text[self._at - 1]

    def _moved_over_space(self) -> bool:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at < len(self._text)

    def _value(self, followed_by: str) -> object:
        """The next value; what follows it, one of ``followed_by``, is next."""
        while True:
            if self._moved_over_space():
                found = self._whole_value(followed_by)
                if found is not None:
                    return found[0]
            self._more()

    def _whole_value(self, followed_by: str) -> tuple[object] | None:
        """The value that begins here; None where its end has not been read yet."""
        try:
            value, end = self._json.raw_decode(self._text, self._at)
        except RecursionError as error:
            raise unsound("its values lie too deep in each other") from error
        except ValueError:
            return None
        found = _SPACE.match(self._text, end)
        after = found.end() if found else end
        if after == len(self._text):
            return None
        if self._text[after] not in followed_by:
            raise unsound("it is no JSON")
        self._at = after
        return (value,)

    def _more(self) -> None:
        """Read on: twice as much as is held, so that a long member is not decoded often."""
        rest = self._text[self._at :]
        if len(rest) > self._most:
            raise unsound(f"something of more than {self._most:,} bytes in it")
        room = self._most + 1 - len(rest)
        wanted = min(max(_READ_BYTES, len(rest)), self._end - self._next, room)
        data = self._source.read_at(self._next, wanted) if wanted > 0 else b""
        if not data:
            raise unsound("it is no JSON")
        self._next += len(data)
        self._text, self._at = rest + self._decoder.decode(data), 0
