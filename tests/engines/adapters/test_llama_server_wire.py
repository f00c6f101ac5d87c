"""What llama-server sends, cut as the network likes, becomes our events."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.adapters.llama_server_wire import (
    ReplyReader,
    SseReader,
    request_body,
)
from modeldeck.engines.chat import (
    ChatEvent,
    ChatMessage,
    ChatRequest,
    Done,
    Image,
    PrefillProgress,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Timings,
    Usage,
)


def chunk(**more: object) -> bytes:
    """A chunk with the fields that llama-server puts into each."""
    message: dict[str, object] = {
        "choices": [],
        "created": 1795449837,
        "id": "chatcmpl-ZsKI",
        "model": "m",
        "object": "chat.completion.chunk",
        **more,
    }
    return b"data: " + json.dumps(message, ensure_ascii=False).encode() + b"\n\n"


def choice(delta: object, finish: str | None = None) -> list[object]:
    return [{"finish_reason": finish, "index": 0, "delta": delta}]


def raw_timings(predicted: int, predicted_ms: float) -> dict[str, float]:
    return {
        "cache_n": 4,
        "prompt_n": 9,
        "prompt_ms": 61.465,
        "prompt_per_second": 146.4,
        "predicted_n": predicted,
        "predicted_ms": predicted_ms,
        "predicted_per_second": 80.0,
    }


def timings(decoded: int, decode_ns: int) -> Timings:
    return Timings("engine", 9, 4, 61_465_000, decoded, decode_ns)


NOTHING_YET = {"role": "assistant", "content": None}
# As a server of build b9000 or so sends it, recorded.
STREAM = b"".join(
    [
        chunk(
            choices=choice(NOTHING_YET),
            prompt_progress={"total": 13, "cache": 4, "processed": 4, "time_ms": 0},
        ),
        b": ping\n\n",
        chunk(
            choices=choice(NOTHING_YET),
            prompt_progress={"total": 13, "cache": 4, "processed": 13, "time_ms": 61},
        ),
        chunk(choices=choice(NOTHING_YET)),
        chunk(choices=choice({"reasoning_content": "Hm"}), timings=raw_timings(1, 0.001)),
        chunk(choices=choice({"content": "天は"}), timings=raw_timings(2, 12.5)),
        chunk(choices=choice({"content": "青い 👩"}), timings=raw_timings(3, 25.000499)),
        chunk(choices=choice({}, "length")),
        chunk(
            usage={
                "completion_tokens": 3,
                "prompt_tokens": 13,
                "total_tokens": 16,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
            timings=raw_timings(3, 25.000499),
        ),
        b"data: [DONE]\n\n",
    ]
)
EVENTS: list[ChatEvent] = [
    PrefillProgress(4, 13, 4, 0),
    PrefillProgress(13, 13, 4, 61_000_000),
    ReasoningDelta("Hm", timings(1, 1000)),
    TextDelta("天は", timings(2, 12_500_000)),
    TextDelta("青い 👩", timings(3, 25_000_499)),
    Usage(13, 3, 4, timings(3, 25_000_499)),
    Done("length"),
]


def events_of(pieces: list[bytes]) -> list[ChatEvent]:
    sse, reply = SseReader(), ReplyReader()
    events = [event for piece in pieces for data in sse.feed(piece) for event in reply.read(data)]
    return [*events, *reply.end()]


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_how_the_network_cuts_a_stream_changes_nothing(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[begin:end] for begin, end in pairwise(edges)]

    assert events_of(pieces) == EVENTS


def test_a_stream_byte_by_byte_is_the_same_stream() -> None:
    # Every character of several bytes is cut in the middle.
    assert events_of([bytes([byte]) for byte in STREAM]) == EVENTS


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("prefix", [b"data:", b"data: "])
def test_both_spellings_of_a_line_are_read(prefix: bytes, line_end: bytes) -> None:
    stream = STREAM.replace(b"data: ", prefix).replace(b"\n", line_end)

    assert events_of([stream]) == EVENTS


def test_fields_that_are_no_data_are_skipped() -> None:
    assert list(SseReader().feed(b"event: x\nid: 1\nretry: 5\n: ping\n\ndata: 7\n\n")) == [b"7"]


@pytest.mark.parametrize(
    ("finish", "reason"), [("stop", "stop"), ("length", "length"), ("tool_calls", "stop")]
)
def test_the_reason_of_the_end_is_the_servers(finish: str, reason: str) -> None:
    ended = events_of([chunk(choices=choice({}, finish))])[-1]

    assert isinstance(ended, Done)
    assert ended.reason == reason


def test_without_a_usage_the_timings_count() -> None:
    events = events_of([chunk(choices=choice({"content": "a"}), timings=raw_timings(7, 3.0))])

    assert events[-2] == Usage(13, 7, 4, timings(7, 3_000_000))


def test_an_older_build_names_reasoning_otherwise() -> None:
    assert events_of([chunk(choices=choice({"reasoning": "Hm"}))])[0] == ReasoningDelta("Hm")


def test_a_request_asks_for_everything_the_meter_needs() -> None:
    messages = (ChatMessage("system", "Be brief."), ChatMessage("user", "天?"))

    assert request_body(ChatRequest("x", messages)) == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "天?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "timings_per_token": True,
        "return_progress": True,
        "cache_prompt": True,
    }


def test_images_stand_before_the_words_as_parts_of_a_message() -> None:
    image = Image("a.png", "image/png", b"\x89PNG")
    messages = (ChatMessage("user", "What?", (image, image)), ChatMessage("user", "", (image,)))
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}

    assert request_body(ChatRequest("x", messages))["messages"] == [
        {"role": "user", "content": [part, part, {"type": "text", "text": "What?"}]},
        {"role": "user", "content": [part]},
    ]


def test_only_the_sampling_that_was_set_is_sent() -> None:
    nothing = request_body(ChatRequest("x", ()))
    everything = Sampling(
        temperature=0.0, top_k=0, top_p=0.9, min_p=0.0, repeat_penalty=1.1, seed=0, max_tokens=1
    )
    body = request_body(ChatRequest("x", (), everything))

    assert {name: body[name] for name in body.keys() - nothing.keys()} == {
        "temperature": 0.0,
        "top_k": 0,
        "top_p": 0.9,
        "min_p": 0.0,
        "repeat_penalty": 1.1,
        "seed": 0,
        "max_tokens": 1,
    }
