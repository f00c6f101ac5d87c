"""Fuzzy matching: the letters in order, better at the start of words and in runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_START = 8
_RUN = 5
_BOUNDARY = frozenset(" -_./:")


def fuzzy(query: str, text: str) -> int | None:
    """How well ``text`` matches ``query``; None when it does not. Case does not count.

    The words of the query are all wanted, in any order; each must be a subsequence of the text.
    """
    lowered = text.lower()
    total = 0
    for word in query.lower().split():
        score = _word(word, lowered)
        if score is None:
            return None
        total += score
    return total - len(text) // 8


def _word(word: str, text: str) -> int | None:
    found = text.find(word)
    if found >= 0:
        start = found == 0 or text[found - 1] in _BOUNDARY
        return len(word) * (_RUN + 1) + (_START if start else 0) + _RUN
    score = 0
    at = -1
    for letter in word:
        found = text.find(letter, at + 1)
        if found < 0:
            return None
        if found == at + 1:
            score += _RUN
        if found == 0 or text[found - 1] in _BOUNDARY:
            score += _START
        score += 1
        at = found
    return score


def best_matches(query: str, items: Iterable[T], text_of: Callable[[T], str]) -> list[T]:
    """The items that match, best first; equals stay in their order. An empty query keeps all."""
    if not query.strip():
        return list(items)
    scored = [(score, item) for item in items if (score := fuzzy(query, text_of(item))) is not None]
    scored.sort(key=lambda pair: -pair[0])
    return [item for _, item in scored]
