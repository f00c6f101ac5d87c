"""Phrase patterns and the styles they are written in."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.demo.patterns import draw, parse, parse_words
from modeldeck.engines.demo.style import gerund, styled
from modeldeck.engines.errors import FormatError

WORDS = parse_words({"thing": "(model|file|)", "two": "{thing} {thing}"}, {})


def all_drawn(pattern: str) -> set[str]:
    rng = random.Random(1)
    parsed = parse(pattern, WORDS)
    return {draw(parsed, rng) for _ in range(300)}


@pytest.mark.parametrize(
    ("pattern", "phrases"),
    [
        ("stop it", {"stop it"}),
        ("(stop|end) it", {"stop it", "end it"}),
        ("(please |)stop", {"please stop", "stop"}),
        ("a (b|c (d|e))", {"a b", "a c d", "a c e"}),
        ("load {thing}", {"load model", "load file", "load"}),
        ("", {""}),
    ],
)
def test_a_pattern_stands_for_its_phrases(pattern: str, phrases: set[str]) -> None:
    assert all_drawn(pattern) == phrases


@pytest.mark.parametrize("pattern", ["(a|b", "a)", "load {other}", "((a)"])
def test_a_malformed_pattern_says_what_is_wrong(pattern: str) -> None:
    with pytest.raises(FormatError) as error:
        parse(pattern, WORDS)
    assert pattern in error.value.cause


@given(st.lists(st.text("abc d", min_size=1), min_size=1), st.integers())
def test_a_choice_draws_one_of_its_options(options: list[str], seed: int) -> None:
    drawn = draw(parse(f"({'|'.join(options)})", {}), random.Random(seed))
    assert drawn in {" ".join(option.split()) for option in options}


@given(st.text("abcdefgh ijklmno", min_size=1), st.integers())
def test_a_styled_sentence_depends_on_the_seed_alone(sentence: str, seed: int) -> None:
    assert styled(sentence, random.Random(seed)) == styled(sentence, random.Random(seed))


def test_most_styled_sentences_keep_their_words() -> None:
    sentence = "how do i change the colour theme"
    rng = random.Random(1)
    kept = sum(sentence in styled(sentence, rng).lower() for _ in range(1000))
    assert 600 < kept < 950


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("change the theme", "changing the theme"),
        ("stop it", "stopping it"),
        ("quit", "quitting"),
        ("see my models", "seeing my models"),
        ("begin a chat", "beginning a chat"),
        ("load a model", "loading a model"),
        ("show the log", "showing the log"),
        ("copy it", "copying it"),
        ("free memory", "freeing memory"),
        ("get help", "getting help"),
        ("open it", "opening it"),
        ("tie", "tying"),
    ],
)
def test_gerund(phrase: str, expected: str) -> None:
    assert gerund(phrase) == expected
