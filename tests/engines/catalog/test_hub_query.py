"""What is looked for on the Hub, as people type it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.catalog.hub_query import Query, parse_query
from modeldeck.engines.catalog.hub_search import search_url
from modeldeck.engines.errors import ModelNotFound


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", Query()),
        ("qwen 14b", Query("qwen 14b")),
        ("qwen author:bartowski coder", Query("qwen coder", author="bartowski")),
        ("task:text-generation", Query(task="text-generation")),
        ("params:7B-14B", Query(least_parameters=7_000_000_000, most_parameters=14_000_000_000)),
        ("params:<1.5b", Query(most_parameters=1_500_000_000)),
        ("params:>500M", Query(least_parameters=500_000_000)),
        ("author:", Query("author:")),
        ("http://x", Query("http://x")),
    ],
)
def test_words_cut_a_search_down(text: str, query: Query) -> None:
    assert parse_query(text) == query


@pytest.mark.parametrize("text", ["params:big", "params:9B-7B", "params:<", "params:0-7B"])
def test_a_range_that_makes_no_sense_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ModelNotFound, match="7B-14B"):
        parse_query(text)


def test_the_hub_is_asked_in_its_own_words() -> None:
    url = search_url("https://hub", "qwen author:o params:<9B", "gguf", "likes")
    assert "search=qwen&author=o&num_parameters=max%3A9000000000&filter=gguf" in url


@given(st.text(max_size=60).filter(lambda text: "params:" not in text.lower()))
def test_any_text_is_a_search(text: str) -> None:
    assert len(parse_query(text).text) <= len(text)
