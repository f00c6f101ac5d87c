"""The made-up words of a random model: in a text, and on a screen of the deck."""

from __future__ import annotations

import re


def words_of(text: str) -> list[str]:
    """The words of a text, in order."""
    return re.findall(r"\bw\d+\b", text)


def words_on(screen: str) -> list[str]:
    """The words of the transcript, without the panel beside it."""
    return words_of("\n".join(line.partition("│")[0] for line in screen.splitlines()))


def is_end_of(shown: list[str], text: str) -> bool:
    """Whether there are words, and they are the last ones of ``text``."""
    return bool(shown) and words_of(text)[-len(shown) :] == shown
