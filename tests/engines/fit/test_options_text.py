"""The options of a load are kept as text, and come back as they were."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.options_text import from_text, summary, to_text
from modeldeck.engines.types import Draft, KvType, Split

COUNTS = st.none() | st.integers(1, 1 << 20)
SPLITS = st.builds(
    Split,
    st.sampled_from(["none", "layer", "tensor"]),
    st.lists(st.integers(0, 100), min_size=1, max_size=4).map(tuple).filter(any),
    numbers=st.just(()),
)
OPTIONS = st.builds(
    FitOptions,
    context_tokens=COUNTS,
    kv_type=st.none() | st.sampled_from(get_args(KvType)),
    micro_batch_tokens=COUNTS,
    slots=COUNTS,
    gpu_layers=st.none() | st.integers(0, 1000),
    cpu_moe_blocks=st.none() | st.integers(0, 1000),
    flash_attention=st.none() | st.booleans(),
    swa_full=st.none() | st.booleans(),
    draft=st.none() | st.builds(Draft, st.text(max_size=20), st.integers(1, 16)),
    adapters=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    split=st.none() | SPLITS,
)


@given(OPTIONS)
def test_what_is_kept_comes_back(options: FitOptions) -> None:
    assert from_text(to_text(options)) == options


@given(st.text(max_size=80))
def test_what_is_no_options_is_none_given(text: str) -> None:
    assert isinstance(from_text(text), FitOptions)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        '{"context_tokens": -5}',
        '{"context_tokens": true}',
        '{"context_tokens": 0}',
        '{"context_tokens": 1e9}',
        '{"kv_type": "q9_9"}',
        '{"flash_attention": 1}',
        '{"draft": {"model": 5, "tokens": 3}}',
        '{"draft": {"model": "a"}}',
        '{"split": {"mode": "row", "shares": [1]}}',
        '{"split": {"mode": "layer", "shares": []}}',
        '{"split": {"mode": "layer", "shares": [1, "x"]}}',
        '{"adapters": [1, null]}',
        '{"of a later version": 3}',
    ],
)
def test_what_is_not_understood_is_as_if_it_were_not_given(text: str) -> None:
    assert from_text(text) == FitOptions()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (FitOptions(), ""),
        (FitOptions(context_tokens=16384, kv_type="q8_0"), "ctx 16k, kv q8_0"),
        (FitOptions(gpu_layers=20, slots=1), "ngl 20, 1 slot"),
        (FitOptions(flash_attention=False, draft=Draft()), "flash attention off, a draft"),
        (FitOptions(split=Split("none", (0, 1))), "one card"),
    ],
)
def test_in_words(options: FitOptions, words: str) -> None:
    assert summary(options) == words
