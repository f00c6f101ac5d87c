from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.reading_pace import TextCounter, feel_of, is_cjk


def counted(*pieces: str) -> tuple[int, int]:
    counter = TextCounter()
    for piece in pieces:
        counter.add(piece)
    return counter.cjk_characters, counter.words


@pytest.mark.parametrize(
    ("text", "cjk", "words"),
    [
        ("", 0, 0),
        ("The quick brown fox", 0, 4),
        ("  - don't, well-known; e.g. 3.14 | ** ", 0, 4),
        ("naïve cafe\u0301s", 0, 2),
        ("पानी बहुत", 0, 2),
        ("Привет, мир!", 0, 2),
        ("為什麼放不進", 6, 0),
        ("人々はコーヒー。", 7, 0),
        ("안녕하세요", 5, 0),
        ("ﾊﾝｶｸ", 4, 0),
        ("𠮷野家", 3, 0),
        ("用GPU跑Qwen 3", 2, 3),
        ("……！，。「」", 0, 0),
        ("👍 ──── 🎉", 0, 0),
    ],
)
def test_characters_for_cjk_and_words_for_the_rest(text: str, cjk: int, words: int) -> None:
    assert counted(text) == (cjk, words)


@given(st.lists(st.text(st.sampled_from("a1 -'\n中かé,"), max_size=5)))
def test_how_the_text_is_cut_changes_nothing(pieces: list[str]) -> None:
    assert counted(*pieces) == counted("".join(pieces))


LETTERS = re.compile(
    "CJK UNIFIED|CJK COMPATIBILITY I|CJK RADICAL|KANGXI|BOPOMOFO|HIRAGANA L|KATAKANA L"
    "|KATAKANA-HIRAGANA P|HENTAIGANA|HANGUL (LETTER|SYLLABLE|[CJ])|HALFWIDTH KATAKANA L"
    "|HALFWIDTH HANGUL|IDEOGRAPHIC ITERATION"
)
OTHERS = re.compile("IDEOGRAPHIC|HANGZHOU|VERTICAL|MASU|DIGRAPH|ITERATION|HANGUL|KATAKANA|HIRAGANA")


def test_every_letter_of_the_cjk_scripts_counts_and_no_other() -> None:
    for point in range(sys.maxunicode + 1):
        name = unicodedata.name(chr(point), "")
        if LETTERS.match(name):
            assert is_cjk(chr(point)), name
        elif name and is_cjk(chr(point)):
            assert OTHERS.search(name), name


def test_the_feel_has_its_thresholds() -> None:
    feels = [feel_of(rate) for rate in (0.3, 10, 29.9, 30, 59.9, 60, 99.9, 100, 4000)]
    assert feels == [
        "typewriter",
        "typewriter",
        "typewriter",
        "reading pace",
        "reading pace",
        "skimming",
        "skimming",
        "instant",
        "instant",
    ]
