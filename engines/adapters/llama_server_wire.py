"""llama-server's streaming protocol as pure functions: bytes to events, events to ours.

Field names: llama.cpp ``tools/server`` (``/v1/chat/completions`` with ``timings_per_token`` and
``return_progress``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from modeldeck.engines.adapters.json_values import count, items, table, text
from modeldeck.engines.chat import (
    ChatEvent,
    ChatMessage,
    ChatRequest,
    Done,
    PrefillProgress,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Timings,
    Usage,
)
from modeldeck.engines.images import data_uri
from modeldeck.engines.text import clean


class SseReader:
    """Server-sent events from arbitrarily cut bytes.

    Keeps at most one unfinished line; yields the ``data`` of each event. Comments and other
    fields are skipped, as the standard says.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the data lines that ``chunk`` completes."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def request_body(request: ChatRequest) -> dict[str, object]:
    """The JSON body for a chat that streams, with the engine's timings in every piece."""
    return {
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "timings_per_token": True,
        "return_progress": True,
        "cache_prompt": True,
        **sampling_body(request.sampling),
    }


def count_body(messages: Iterable[ChatMessage]) -> bytes:
    """The JSON body of a question how many tokens ``messages`` have."""
    return json.dumps({"messages": [_message(message) for message in messages]}).encode()


def _message(message: ChatMessage) -> dict[str, object]:
    """A turn; one with images is made of parts, as in OpenAI's chat completions."""
    if not message.images:
        return {"role": message.role, "content": message.content}
    parts: list[dict[str, object]] = [
        {"type": "image_url", "image_url": {"url": data_uri(image)}} for image in message.images
    ]
    if message.content:
        parts.append({"type": "text", "text": message.content})
    return {"role": message.role, "content": parts}


def sampling_body(sampling: Sampling) -> dict[str, object]:
    """Only what was set; the engine's defaults stay its own."""
    named = {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "seed": sampling.seed,
        "max_tokens": sampling.max_tokens,
    }
    return {name: value for name, value in named.items() if value is not None}


def _ns(milliseconds: object) -> int:
    return round(milliseconds * 1e6) if isinstance(milliseconds, int | float) else 0


def timings_of(raw: Mapping[str, object]) -> Timings:
    """``timings`` of a chunk: milliseconds as floats there, nanoseconds here."""
    return Timings(
        source="engine",
        prompt_tokens=count(raw.get("prompt_n")),
        cached_tokens=count(raw.get("cache_n")),
        prefill_ns=_ns(raw.get("prompt_ms")),
        decoded_tokens=count(raw.get("predicted_n")),
        decode_ns=_ns(raw.get("predicted_ms")),
    )


class StreamFailed(Exception):
    """The stream carried an error object; ``args[0]`` is it."""


class ReplyReader:
    """Turns the JSON of each event into ours and keeps what belongs at the end."""

    def __init__(self) -> None:
        self._finish = ""
        self._usage: Mapping[str, object] = {}
        self._timings: Timings | None = None

    def read(self, data: bytes) -> Iterator[ChatEvent]:
        """The events of one data line.

        Raises:
            StreamFailed: the server reports an error in the stream.
            ValueError: the line is no JSON.
        """
        if data == b"[DONE]":
            return
        message = table(json.loads(data))
        if "error" in message:
            raise StreamFailed(message["error"])
        raw_timings = table(message.get("timings"))
        timings = timings_of(raw_timings) if raw_timings else None
        self._timings = timings or self._timings
        self._usage = table(message.get("usage")) or self._usage
        if progress := table(message.get("prompt_progress")):
            yield PrefillProgress(
                processed=count(progress.get("processed")),
                total=count(progress.get("total")),
                cached=count(progress.get("cache")),
                elapsed_ns=_ns(progress.get("time_ms")),
            )
        for choice in map(table, items(message.get("choices"))):
            delta = table(choice.get("delta"))
            if thought := text(delta.get("reasoning_content")) or text(delta.get("reasoning")):
                yield ReasoningDelta(clean(thought), timings)
            if said := text(delta.get("content")):
                yield TextDelta(clean(said), timings)
            self._finish = text(choice.get("finish_reason")) or self._finish

    def end(self) -> Iterator[ChatEvent]:
        """The last events of a stream that ended well: counts, then why it ended."""
        usage = self._usage
        timings = self._timings
        details = table(usage.get("prompt_tokens_details"))
        cached = count(details.get("cached_tokens")) or (timings.cached_tokens if timings else 0)
        computed = timings.prompt_tokens + timings.cached_tokens if timings else 0
        decoded = timings.decoded_tokens if timings else 0
        yield Usage(
            prompt_tokens=count(usage.get("prompt_tokens")) or computed,
            completion_tokens=count(usage.get("completion_tokens")) or decoded,
            cached_tokens=cached,
            timings=timings,
        )
        yield Done("length" if self._finish == "length" else "stop")
