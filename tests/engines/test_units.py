"""Quantities as people write and read them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.units import (
    GIB,
    MIB,
    age_text,
    gib_number,
    gib_text,
    parse_size,
    parse_tokens,
    tokens_text,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("12GiB", 12 << 30),
        ("12 gib", 12 << 30),
        ("12G", 12 << 30),
        ("12GB", 12_000_000_000),
        ("1.5MiB", 3 << 19),
        ("800 MB", 800_000_000),
        ("2KiB", 2048),
        ("1TiB", 1 << 40),
        ("4096", 4096),
        (" 7 B ", 7),
    ],
)
def test_a_size_is_read_as_written(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "GiB", "-1GiB", "12 apples", "1e9", "12iB", "1,5GiB", "9" * 30]
)
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match="12GiB"):
        parse_size(text)


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with suppress(SettingsError):
        assert parse_size(text) >= 0


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0.00"),
        (430 * MIB, "0.42"),
        (GIB - 1, "1.0"),
        (GIB, "1.0"),
        (round(8.94 * GIB), "8.9"),
        (round(99.96 * GIB), "100"),
        (246 * GIB, "246"),
    ],
)
def test_bytes_are_told_in_three_digits(size_bytes: int, text: str) -> None:
    assert gib_number(size_bytes) == text
    assert gib_text(size_bytes) == f"{text} GiB"


@given(st.integers(0, 1 << 20))
def test_a_whole_number_of_mebibytes_survives_a_round_trip(mebibytes: int) -> None:
    assert parse_size(f"{mebibytes}MiB") == mebibytes * MIB


def test_contexts_are_never_rounded_up() -> None:
    said = {512: "512", 1024: "1k", 4095: "3k", 16384: "16k", 40960: "40k", 131072: "128k"}
    assert {tokens: tokens_text(tokens) for tokens in said} == said
    assert tokens_text(1 << 20) == "1M"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("32768", 32768),
        ("32k", 32768),
        ("32K", 32768),
        (" 128 k ", 131_072),
        ("1M", 1 << 20),
        ("0", 0),
    ],
)
def test_a_number_of_tokens_is_read_as_written(text: str, tokens: int) -> None:
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize("text", ["", "k", "-1k", "1.5k", "32kB", "32 tokens", "1e5", "٣٢k"])
def test_what_is_no_number_of_tokens_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match="32k"):
        parse_tokens(text)


@given(st.integers(0, 10_000).map(lambda number: number * 1024))
def test_tokens_are_read_as_they_are_written(tokens: int) -> None:
    written = tokens_text(tokens)
    assert 0 <= tokens - parse_tokens(written) < max(1024, tokens // 1024 // 1024 and 1 << 20)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "a moment"),
        (0.9, "a moment"),
        (1, "1 second"),
        (119, "1 minute"),
        (7_200, "2 hours"),
        (90 * 86_400, "90 days"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert age_text(seconds) == text
