"""A server may send any JSON; a reply is read from what has the right shape."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.adapters.llama_server_wire import ReplyReader, StreamFailed
from modeldeck.engines.chat import Done, ReasoningDelta, TextDelta, Usage

NAMES = ("choices", "delta", "content", "reasoning_content", "usage", "timings", "prompt_progress")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(ANY_JSON)
def test_no_shape_of_json_breaks_the_reader(message: object) -> None:
    reader = ReplyReader()

    try:
        events = [*reader.read(json.dumps(message).encode()), *reader.end()]
    except StreamFailed:
        return

    assert isinstance(events[-2], Usage)
    assert events[-1] == Done("stop")


def test_text_and_reasoning_come_apart_and_clean() -> None:
    delta = {"reasoning_content": "hm\x1b[2J", "content": "yes\x07"}
    message = {"choices": [{"delta": delta, "finish_reason": "length"}]}
    reader = ReplyReader()

    events = list(reader.read(json.dumps(message).encode()))

    assert events == [ReasoningDelta("hm[2J", None), TextDelta("yes", None)]
    assert list(reader.end())[-1] == Done("length")


def test_an_error_in_the_stream_is_raised() -> None:
    with pytest.raises(StreamFailed, match="overloaded"):
        list(ReplyReader().read(b'{"error": "overloaded"}'))
