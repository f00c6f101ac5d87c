"""llama-server's streaming protocol as pure functions: bytes to events, events to ours.

Field names: llama.cpp ``tools/server`` (``/v1/chat/completions`` with ``timings_per_token`` and
``return_progress``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from modeldeck.engines.text import clean
from modeldeck.engines.types import (
    ChatEvent,
    ChatRequest,
    Done,
    PrefillProgress,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Timings,
    Usage,
)


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
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "timings_per_token": True,
        "return_progress": True,
        "cache_prompt": True,
        **sampling_body(request.sampling),
    }


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


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def timings_of(raw: Mapping[str, Any]) -> Timings:
    """``timings`` of a chunk: milliseconds as floats there, nanoseconds here."""
    return Timings(
        source="engine",
        prompt_tokens=_count(raw.get("prompt_n")),
        cached_tokens=_count(raw.get("cache_n")),
        prefill_ns=_ns(raw.get("prompt_ms")),
        decoded_tokens=_count(raw.get("predicted_n")),
        decode_ns=_ns(raw.get("predicted_ms")),
    )


class StreamFailed(Exception):
    """The stream carried an error object; ``args[0]`` is it."""


class ReplyReader:
    """Turns the JSON of each event into ours and keeps what belongs at the end."""

    def __init__(self) -> None:
        self._finish: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._timings: Timings | None = None

    def read(self, data: bytes) -> Iterator[ChatEvent]:
        """The events of one data line.

        Raises:
            StreamFailed: the server reports an error in the stream.
            ValueError: the line is no JSON.
        """
        if data == b"[DONE]":
            return
        message = json.loads(data)
        if "error" in message:
            raise StreamFailed(message["error"])
        raw_timings = message.get("timings")
        timings = timings_of(raw_timings) if isinstance(raw_timings, dict) else None
        self._timings = timings or self._timings
        self._usage = message.get("usage") or self._usage
        progress = message.get("prompt_progress")
        if isinstance(progress, dict):
            yield PrefillProgress(
                processed=_count(progress.get("processed")),
                total=_count(progress.get("total")),
                cached=_count(progress.get("cache")),
                elapsed_ns=_ns(progress.get("time_ms")),
            )
        for choice in message.get("choices") or ():
            delta = choice.get("delta") or {}
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            if reasoning:
                yield ReasoningDelta(clean(reasoning), timings)
            if text := delta.get("content"):
                yield TextDelta(clean(text), timings)
            self._finish = choice.get("finish_reason") or self._finish

    def end(self) -> Iterator[ChatEvent]:
        """The last events of a stream that ended well: counts, then why it ended."""
        usage = self._usage or {}
        timings = self._timings
        details = usage.get("prompt_tokens_details") or {}
        cached = _count(details.get("cached_tokens")) or (timings.cached_tokens if timings else 0)
        computed = timings.prompt_tokens + timings.cached_tokens if timings else 0
        decoded = timings.decoded_tokens if timings else 0
        yield Usage(
            prompt_tokens=_count(usage.get("prompt_tokens")) or computed,
            completion_tokens=_count(usage.get("completion_tokens")) or decoded,
            cached_tokens=cached,
            timings=timings,
        )
        yield Done("length" if self._finish == "length" else "stop")
