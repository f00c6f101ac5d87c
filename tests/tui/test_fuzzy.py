from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.tui.fuzzy import best_matches, fuzzy

NAMES = [
    "Qwen3-14B-Q4_K_M",
    "Qwen3-8B-Q5_K_M",
    "Qwen3-30B-A3B-Q4_K_M",
    "gemma-3-27b-it-Q4_K_M",
    "Llama-3.1-70B-Instruct-IQ2_XS",
    "DeepSeek-Coder-V2-Lite-Instruct-Q4_K_M",
    "Phi-4-mini-instruct-Q8_0",
]


def found(query: str) -> list[str]:
    return best_matches(query, NAMES, lambda name: name)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("qwen", "Qwen3-8B-Q5_K_M"),
        ("q14", "Qwen3-14B-Q4_K_M"),
        ("14b", "Qwen3-14B-Q4_K_M"),
        ("gem", "gemma-3-27b-it-Q4_K_M"),
        ("dsc", "DeepSeek-Coder-V2-Lite-Instruct-Q4_K_M"),
        ("l70", "Llama-3.1-70B-Instruct-IQ2_XS"),
        ("q4 coder", "DeepSeek-Coder-V2-Lite-Instruct-Q4_K_M"),
        ("a3b qwen", "Qwen3-30B-A3B-Q4_K_M"),
        ("PHI", "Phi-4-mini-instruct-Q8_0"),
    ],
)
def test_a_few_letters_find_the_model(query: str, first: str) -> None:
    assert found(query)[0] == first


def test_every_word_is_wanted() -> None:
    assert found("qwen gemma") == []
    assert found("instruct q4") == ["DeepSeek-Coder-V2-Lite-Instruct-Q4_K_M"]


def test_no_query_keeps_everything_in_order() -> None:
    assert found("") == found("   ") == NAMES


def test_what_does_not_match_is_left_out() -> None:
    assert found("zzz") == []
    assert fuzzy("ba", "ab") is None


def test_a_word_in_one_piece_beats_letters_here_and_there() -> None:
    names = ["l-x-i-x-t-x-e", "elite", "lite-x"]
    assert best_matches("lite", names, str) == ["lite-x", "elite", "l-x-i-x-t-x-e"]


WORD = st.text("abq3 -_", max_size=12)


@given(WORD, WORD)
def test_a_match_is_a_subsequence_word_by_word(query: str, text: str) -> None:
    def is_in(word: str) -> bool:
        letters = iter(text)
        return all(letter in letters for letter in word)

    assert (fuzzy(query, text) is not None) == all(map(is_in, query.split()))


@given(st.text(max_size=8), st.text(max_size=20))
def test_case_does_not_count_and_nothing_breaks_it(query: str, text: str) -> None:
    assert fuzzy(query.upper(), text.upper()) == fuzzy(query.upper().lower().upper(), text.upper())


@given(WORD)
def test_a_text_matches_itself(text: str) -> None:
    assert fuzzy(text, text) is not None


def test_ten_thousand_names_are_filtered_between_two_keys() -> None:
    names = [f"{NAMES[n % len(NAMES)]}-v{n}" for n in range(10_000)]
    for query in ("q", "qwen", "q14", "instruct 77", "nosuchmodel"):
        start = time.process_time()
        best_matches(query, names, str)
        assert time.process_time() - start < 0.15, query
