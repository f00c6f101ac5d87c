"""What Ollama says, line by line, as pure functions."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.adapters.ollama_address import address_of
from modeldeck.engines.adapters.ollama_client import failed, refused
from modeldeck.engines.adapters.ollama_wire import (
    LineReader,
    ReplyReader,
    StreamFailed,
    chat_body,
    device_of,
    fewest_tokens,
    load_options,
    loaded_in,
)
from modeldeck.engines.chat import (
    ChatMessage,
    ChatRequest,
    Done,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Timings,
    Usage,
)
from modeldeck.engines.errors import EngineDied, EngineError, RequestRefused
from modeldeck.engines.fit.commands import ollama_options
from modeldeck.engines.testing import PIXEL
from modeldeck.engines.text import UNSAFE
from modeldeck.engines.types import Plan

# docs/api.md of Ollama, "Chat request (Streaming)", with the final line's numbers.
FINAL = {
    "model": "llama3.2",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "total_duration": 4883583458,
    "load_duration": 1334875,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 342546000,
    "eval_count": 282,
    "eval_duration": 4535599000,
}


@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: b"\n" not in b)), st.data())
def test_lines_come_whole_wherever_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    sent = b"".join(line + b"\n" for line in lines)
    reader, read = LineReader(), list[bytes]()
    while sent:
        cut = data.draw(st.integers(1, len(sent)))
        read += reader.feed(sent[:cut])
        sent = sent[cut:]

    assert read == [line for line in lines if line.strip()]


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    reader = LineReader()
    for _ in range(8):
        assert not list(reader.feed(b"x" * (1 << 20)))
    with pytest.raises(ValueError, match="no end"):
        list(reader.feed(b"x"))


def test_thoughts_words_counts_and_times_in_their_order() -> None:
    reply = ReplyReader()
    lines: list[object] = [
        {"message": {"role": "assistant", "content": "", "thinking": "Hm\x1b[31m"}, "done": False},
        {"message": {"role": "assistant", "content": "Blue\u202e"}, "done": False},
        FINAL,
    ]
    events = [event for line in lines for event in reply.read(json.dumps(line).encode())]

    times = Timings("engine", 26, 0, 342546000, 282, 4535599000)
    assert events == [
        ReasoningDelta("Hm[31m"),
        TextDelta("Blue"),
        Usage(26, 282, 0, times),
        Done("stop"),
    ]
    assert reply.ended


def test_the_time_of_a_prompt_that_may_be_cached_is_no_rate() -> None:
    usage, _ = ReplyReader(fresh=False).read(json.dumps(FINAL).encode())

    assert isinstance(usage, Usage)
    assert usage.prompt_tokens == 26
    assert usage.timings is not None
    assert usage.timings.prefill_ns == 0


@pytest.mark.parametrize("lacking", ["eval_count", "eval_duration"])
def test_counts_that_are_missing_are_left_to_the_clock(lacking: str) -> None:
    line = {key: value for key, value in FINAL.items() if key != lacking}
    usage, done = ReplyReader().read(json.dumps(line).encode())

    assert isinstance(usage, Usage)
    assert usage.timings is None
    assert done == Done("stop")


def test_a_reply_without_any_counts_ends_all_the_same() -> None:
    assert list(ReplyReader().read(b'{"done": true, "done_reason": "length"}')) == [Done("length")]


@given(
    st.one_of(
        st.binary(),
        st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
            lambda value: json.dumps(
                {"message": value, "done": value, "eval_count": value}
            ).encode()
        ),
    )
)
def test_garbage_is_an_error_or_nothing(line: bytes) -> None:
    try:
        events = list(ReplyReader().read(line))
    except (ValueError, StreamFailed):
        return
    assert all(isinstance(event, Done | Usage) for event in events)


@given(
    st.integers(0, 1_000_000),
    st.integers(1, 4096),
    st.integers(0, 999),
)
def test_a_load_says_what_the_copied_options_say(context: int, batch: int, layers: int) -> None:
    plan = Plan(context_tokens=context, micro_batch_tokens=batch, gpu_layers=layers)

    assert ollama_options(plan).items() <= load_options(plan).items()


def test_a_question_has_its_images_and_never_lets_itself_be_cut() -> None:
    asked = ChatRequest("1", (ChatMessage("user", "What?", (PIXEL,)),), Sampling(min_p=0.1))
    body = json.loads(chat_body("qwen3:8b", Plan(threads=3), asked, "30m"))

    assert body["truncate"] is False
    assert body["shift"] is False
    (message,) = body["messages"]
    assert base64.b64decode(message["images"][0]) == PIXEL.data
    assert body["options"]["min_p"] == 0.1
    assert body["options"]["num_thread"] == 3
    assert "temperature" not in body["options"]


def test_what_is_loaded_and_where() -> None:
    answer = {"models": [{"name": "a:1", "size": 100, "size_vram": 100}, {"model": "b:1"}, 7]}

    assert {"a:1", "b:1"} <= loaded_in(answer).keys()
    assert device_of({"size": 100, "size_vram": 100}) == "GPU"
    assert device_of({"size": 100, "size_vram": 40}) == "GPU 40 %, CPU"
    assert device_of({"size": 100}) == "CPU"
    assert device_of({"size": "x", "size_vram": -3}) == "CPU"


def test_a_lower_bound_counts_no_more_than_the_words() -> None:
    assert fewest_tokens((ChatMessage("user", " a  b\nc "), ChatMessage("system", ""))) == 3


@pytest.mark.parametrize(
    ("status", "said", "kind", "words"),
    [
        (401, b"", RequestRefused, "api_key_env"),
        (429, b'{"error": "slow down"}', RequestRefused, "Wait for 7 s"),
        (503, b'{"error": "server busy"}', RequestRefused, "queue is full"),
        (404, b'{"error": "model \'x\' not found"}', RequestRefused, "not found"),
        (400, b'{"error": "request (900) exceeds the context"}', RequestRefused, "larger context"),
        (500, b'{"error": "model runner has unexpectedly stopped"}', EngineDied, "lost the model"),
        (502, b"<h1>\x1b[31m bad gateway", RequestRefused, "bad gateway"),
        (500, b"", RequestRefused, "HTTP 500"),
        (500, b"[" * 100_000, RequestRefused, "refused"),
    ],
)
def test_each_refusal_has_a_cause_and_a_next_step(
    status: int, said: bytes, kind: type[EngineError], words: str
) -> None:
    error = refused(status, said, "7")

    assert type(error) is kind
    assert words in str(error)
    assert error.next_step
    assert not UNSAFE.search(str(error))


def test_an_error_in_the_stream_is_told_apart() -> None:
    with pytest.raises(StreamFailed) as stream:
        list(ReplyReader().read(b'{"error": "an error was encountered while running the model"}'))

    assert isinstance(failed(stream.value.args[0]), EngineDied)


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("box:8080", "http://box:8080"),
        ("https://box", "https://box:443"),
        ("http://[::1]:99", "http://[::1]:99"),
        ("box:notaport", "http://127.0.0.1:11434"),
    ],
)
def test_the_environment_says_where_it_is(said: str, address: str) -> None:
    assert address_of({"OLLAMA_HOST": said}) == address
