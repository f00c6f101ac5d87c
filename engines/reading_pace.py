"""Speed as a reader feels it: characters and words as they stream by, and a word for the pace."""

from __future__ import annotations

import re
from typing import Final

# Letters of Han, Bopomofo, Kana and Hangul by Unicode block, without their punctuation. Iteration
# marks, the ideographic zero and the long-vowel mark are letters to a reader, so they count.
_CJK: Final = re.compile(
    "[\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9d\uffa0-\uffdc"
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff]"
)
_FEELS: Final = (
    (100.0, "instant"),
    (60.0, "skimming"),
    (30.0, "reading pace"),
    (0.0, "typewriter"),
)


def is_cjk(character: str) -> bool:
    """Whether a character is a letter of Han, Kana, Bopomofo or Hangul."""
    return _CJK.match(character) is not None


def feel_of(tokens_per_second: float) -> str:
    """How a decode rate feels: 10 tok/s typewriter, 30 reading pace, 60 skimming, 100 instant."""
    return next((word for least, word in _FEELS if tokens_per_second >= least), "")


class TextCounter:
    """Counts CJK characters and the words of everything else, over text that comes in pieces.

    A word is what stands between spaces (or CJK characters) and has a letter or digit in it, so
    that ``don't`` and ``पानी`` are one word and a lone ``-`` is none. How the text is cut into
    pieces changes nothing.

    Attributes:
        cjk_characters: counted so far.
        words: begun so far.
    """

    def __init__(self) -> None:
        self.cjk_characters = 0
        self.words = 0
        self._in_word = False

    def add(self, text: str) -> None:
        """Count ``text``."""
        in_word = self._in_word
        ascii_only = text.isascii()
        for character in text:
            if character.isspace():
                in_word = False
            elif not ascii_only and _CJK.match(character):
                self.cjk_characters += 1
                in_word = False
            elif not in_word and character.isalnum():
                self.words += 1
                in_word = True
        self._in_word = in_word
