"""Speed as a reader feels it: characters and words as they stream by, and a word for the pace."""

from __future__ import annotations

from bisect import bisect_right

# Han, Kana, Bopomofo, Hangul and their extensions (Unicode blocks), as half-open ranges.
_CJK = (
    (0x1100, 0x1200),
    (0x2E80, 0x3000),
    (0x3040, 0x3400),
    (0x3400, 0x4DC0),
    (0x4E00, 0xA000),
    (0xA960, 0xA980),
    (0xAC00, 0xD800),
    (0xF900, 0xFB00),
    (0x20000, 0x32000),
)
_STARTS = tuple(start for start, _ in _CJK)

_FEELS = ((100.0, "instant"), (60.0, "skimming"), (30.0, "reading pace"), (0.0, "typewriter"))


def is_cjk(character: str) -> bool:
    """Whether a character is written in Han, Kana, Bopomofo or Hangul."""
    point = ord(character)
    row = bisect_right(_STARTS, point) - 1
    return row >= 0 and point < _CJK[row][1]


def feel_of(tokens_per_second: float) -> str:
    """How a decode rate feels: 10 tok/s typewriter, 30 reading pace, 60 skimming, 100 instant."""
    return next(word for least, word in _FEELS if tokens_per_second >= least)


class TextCounter:
    """Counts CJK characters and the words of everything else, over text that comes in pieces."""

    def __init__(self) -> None:
        self.cjk_characters = 0
        self.words = 0
        self._in_word = False

    def add(self, text: str) -> None:
        """Count ``text``; a word cut between two pieces is one word."""
        for character in text:
            if is_cjk(character):
                self.cjk_characters += 1
                self._in_word = False
            elif character.isalnum():
                self.words += not self._in_word
                self._in_word = True
            elif character not in "'’-_":
                self._in_word = False
