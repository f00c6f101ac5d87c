"""How text is cut into words to be found again, and how a hit is shown. Pure.

SQLite's ``unicode61`` tokenizer takes a run of letters as one word, so a Chinese or Japanese
sentence would be one word. Writing without spaces is therefore indexed one character at a time,
and a word of it is searched as its characters in a row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Thai, Lao, Burmese and Khmer; kana; Han with extension A and compatibility forms; Hangul; Han
# beyond the basic plane.
_UNSPACED: Final = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7a3\U00020000-\U0003ffff]"
)
_LONE: Final = re.compile(_UNSPACED)
_START: Final = rf"(?:(?<![^\W_])|(?<={_UNSPACED}))"
_WORD: Final = re.compile(r"[^\W_]+")


class _Folding(dict[int, int]):
    """Each character without case and accent: one for one, so that places stay the same."""

    def __missing__(self, code: int) -> int:
        lower = unicodedata.normalize("NFD", chr(code))[0].lower()
        self[code] = folded = ord(lower) if len(lower) == 1 else code
        return folded


@dataclass(frozen=True, slots=True)
class Snippet:
    """A short piece of a text on one line; ``hits`` are the parts that were searched for."""

    text: str
    hits: tuple[tuple[int, int], ...] = ()


def spaced(text: str) -> str:
    """``text`` as it is indexed: blanks around each character of writing without spaces."""
    return _LONE.sub(r" \g<0> ", unicodedata.normalize("NFC", text))


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: every word must be there, the words in any order.

    Attributes:
        words: the pieces of each word, in the order they must stand.
        patterns: the same for folded text.
    """

    words: tuple[tuple[str, ...], ...]
    patterns: tuple[re.Pattern[str], ...]

    @property
    def match(self) -> str:
        """The query in FTS5's language: phrases whose last word may go on."""
        return " ".join('"' + " ".join(pieces) + '"*' for pieces in self.words)


def query_of(typed: str) -> Query:
    """Read what a user typed; without any letter or digit there are no ``words``."""
    words: list[tuple[str, ...]] = []
    folding = _Folding()
    for word in unicodedata.normalize("NFC", typed).split():
        pieces = tuple(_WORD.findall(spaced(word)))
        if pieces:
            words.append(pieces)
    return Query(tuple(words), tuple(_pattern(pieces, folding) for pieces in words))


def _pattern(pieces: Sequence[str], folding: _Folding) -> re.Pattern[str]:
    text = "" if _LONE.match(pieces[0]) else _START
    before = ""
    for piece in pieces:
        if before:
            touching = _LONE.match(before) or _LONE.match(piece)
            text += r"[\W_]*" if touching else r"[\W_]+"
        text += re.escape(piece.translate(folding))
        before = piece
    return re.compile(text)


class Finder:
    """Looks for one query in texts by itself, without an index."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._folding = _Folding()

    def found_in(self, text: str) -> bool:
        """Whether every word of the query is in ``text``."""
        folded = unicodedata.normalize("NFC", text).translate(self._folding)
        return all(pattern.search(folded) for pattern in self._query.patterns)

    def snippet(self, text: str, width: int = 120) -> Snippet:
        """About ``width`` characters around the first hit."""
        text = unicodedata.normalize("NFC", text)
        first = [
            found.start()
            for pattern in self._query.patterns
            if (found := pattern.search(text.translate(self._folding)))
        ]
        begin = max(0, min(first, default=0) - width // 4)
        if begin:  # at a word's beginning, where one is near
            begin = next((i + 1 for i in range(begin, begin + 12) if text[i].isspace()), begin)
        line = " ".join(text[begin : begin + 2 * width].split())
        shown = ("…" if begin else "") + line[:width]
        if len(line) > width or begin + 2 * width < len(text):
            shown += "…"
        return Snippet(shown, self.hits(shown))

    def hits(self, text: str) -> tuple[tuple[int, int], ...]:
        """Every place in ``text`` that a word of the query matches, in order, apart."""
        folded = text.translate(self._folding)
        spans = sorted(
            found.span() for pattern in self._query.patterns for found in pattern.finditer(folded)
        )
        apart: list[tuple[int, int]] = []
        for start, end in spans:
            if apart and start <= apart[-1][1]:
                apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
            else:
                apart.append((start, end))
        return tuple(apart)
