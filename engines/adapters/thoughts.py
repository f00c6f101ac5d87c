"""Tells reasoning from answer in a stream that marks it ``<think> … </think>``. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

OPEN: Final = "<think>"
CLOSE: Final = "</think>"

Kind = Literal["thought", "said"]


class ThoughtSplitter:
    """Splits the pieces of one answer; a marker may be cut anywhere between two of them.

    Only what an answer begins with is reasoning; a marker later on is text like any other.
    """

    def __init__(self, *, thinking: bool = False) -> None:
        """Begin an answer; ``thinking`` when the prompt itself has opened the reasoning."""
        self._kind: Kind = "thought" if thinking else "said"
        self._begun = thinking
        self._trim = thinking
        self._held = ""

    def feed(self, text: str) -> Iterator[tuple[Kind, str]]:
        """The next piece as what it is; what may be a part of a marker is held back."""
        self._held += text
        if not self._begun:
            start = self._held.lstrip()
            if start.startswith(OPEN):
                self._kind, self._trim = "thought", True
                self._held = start.removeprefix(OPEN)
            elif OPEN.startswith(start):
                return
            self._begun = True
        if self._kind == "thought":
            thought, mark, rest = self._held.partition(CLOSE)
            if mark:
                yield from self._out("thought", thought.rstrip())
                self._kind, self._trim, self._held = "said", True, rest
            else:
                kept = _start_of(CLOSE, self._held)
                self._held, whole = (
                    self._held[len(self._held) - kept :],
                    thought[: len(thought) - kept],
                )
                yield from self._out("thought", whole)
                return
        said, self._held = self._held, ""
        yield from self._out("said", said)

    def end(self) -> Iterator[tuple[Kind, str]]:
        """What was held back when the stream ended."""
        rest, self._held = self._held, ""
        yield from self._out(self._kind, rest)

    def _out(self, kind: Kind, text: str) -> Iterator[tuple[Kind, str]]:
        if self._trim:
            text = text.lstrip()
        if text:
            self._trim = False
            yield kind, text


def _start_of(mark: str, text: str) -> int:
    """How many characters at the end of ``text`` may be the start of ``mark``."""
    most = min(len(mark) - 1, len(text))
    return next((n for n in range(most, 0, -1) if text.endswith(mark[:n])), 0)
