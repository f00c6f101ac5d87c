"""Fuzzy matching: the letters in order, better at the start of words and in runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")

_LETTER: Final = 1
_RUN: Final = 5
_START: Final = 8
_PIECE: Final = 4
_SEPARATORS: Final = frozenset(" -_./:@")


def fuzzy(query: str, text: str) -> int | None:
    """How well ``text`` matches ``query``; None when it does not. Case does not count.

    The words of the query are all wanted, in any order; each must be a subsequence of the text.
    Letters at the start of a word (after a separator, or where digits begin) and letters in a run
    count for more, a word in one piece for the most; of equal matches the shorter text is better.
    """
    return _score(query.casefold().split(), text)


def _score(words: list[str], text: str) -> int | None:
    lowered = text.casefold()
    total = 0
    for word in words:
        score = _word(word, lowered)
        if score is None:
            return None
        total += score
    return total * 16 - min(len(text), 255) // 16


def _word(word: str, text: str) -> int | None:
    """The better of two ways to find ``word``: in one piece, or letter by letter."""
    found = text.find(word)
    best: int | None = None
    while found >= 0:
        whole = len(word) * (_LETTER + _RUN + _PIECE)
        if _is_start(text, found):
            return whole + _START
        best = whole
        found = text.find(word, found + 1)
    return best if best is not None else _letters(word, text)


def _letters(word: str, text: str) -> int | None:
    """Each letter at the next start of a word that the rest leaves room for, else as it comes."""
    if not _is_subsequence(word, text):
        return None
    score, at = 0, -1
    for index, letter in enumerate(word):
        next_at = text.find(letter, at + 1)
        if next_at == at + 1 and at >= 0:
            score += _RUN
        elif not _is_start(text, next_at):
            start = next_at
            while (start := text.find(letter, start + 1)) >= 0:
                if _is_start(text, start):
                    if _is_subsequence(word[index + 1 :], text[start + 1 :]):
                        next_at = start
                    break
        if _is_start(text, next_at):
            score += _START
        score += _LETTER
        at = next_at
    return score


def _is_subsequence(word: str, text: str) -> bool:
    at = -1
    for letter in word:
        at = text.find(letter, at + 1)
        if at < 0:
            return False
    return True


def _is_start(text: str, at: int) -> bool:
    if at == 0 or text[at - 1] in _SEPARATORS:
        return True
    return text[at].isdigit() and not text[at - 1].isdigit()


def best_matches(query: str, items: Iterable[T], text_of: Callable[[T], str]) -> list[T]:
    """The items that match, best first; equals stay in their order. An empty query keeps all."""
    words = query.casefold().split()
    if not words:
        return list(items)
    scored = [
        (score, item) for item in items if (score := _score(words, text_of(item))) is not None
    ]
    scored.sort(key=lambda pair: -pair[0])
    return [item for _, item in scored]
