"""Ollama's native protocol as pure functions: what is sent, and lines of its answer to events.

Field names: ``api/types.go`` of Ollama (``ChatRequest``, ``ChatResponse``, ``Metrics``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from modeldeck.engines.adapters.json_values import count, items, table, text
from modeldeck.engines.chat import (
    ChatEvent,
    ChatMessage,
    ChatRequest,
    Done,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Timings,
    Usage,
)
from modeldeck.engines.text import clean
from modeldeck.engines.types import Plan

_MOST_LINE_BYTES: Final = 8 << 20


class LineReader:
    """Lines from arbitrarily cut bytes; keeps at most one unfinished line."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that ``chunk`` completes. Raises ValueError for one without an end."""
        self._rest += chunk
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        if len(rest) > _MOST_LINE_BYTES:
            raise ValueError("a line has no end")
        yield from (line for line in lines if line.strip())


def load_options(plan: Plan) -> dict[str, int | bool]:
    """The ``options`` that decide how a model is loaded (``api.Runner``).

    They go with every request: Ollama loads a model anew for one that has others.
    """
    options: dict[str, int | bool] = {
        "num_ctx": plan.context_tokens // plan.slots,
        "num_batch": plan.micro_batch_tokens,
        "num_gpu": plan.gpu_layers,
        "use_mmap": plan.mmap,
    }
    return {**options, "num_thread": plan.threads} if plan.threads else options


def load_body(name: str, plan: Plan, keep_alive: str) -> dict[str, object]:
    """``POST /api/generate`` without a prompt: loads, and answers when it is ready."""
    return {
        "model": name,
        "stream": False,
        "keep_alive": keep_alive,
        "options": load_options(plan),
    }


def unload_body(name: str) -> dict[str, object]:
    """``POST /api/generate`` without a prompt and without time to live: unloads."""
    return {"model": name, "stream": False, "keep_alive": 0}


def chat_body(name: str, plan: Plan, request: ChatRequest, keep_alive: str) -> bytes:
    """``POST /api/chat``.

    ``truncate`` and ``shift`` are off: a conversation that is too long is refused, where Ollama
    would else drop a part of it and say nothing.
    """
    return json.dumps(
        {
            "model": name,
            "messages": [_message(message) for message in request.messages],
            "stream": True,
            "truncate": False,
            "shift": False,
            "keep_alive": keep_alive,
            "options": {**load_options(plan), **_sampling(request.sampling)},
        }
    ).encode()


def _message(message: ChatMessage) -> dict[str, object]:
    told: dict[str, object] = {"role": message.role, "content": message.content}
    if message.images:
        told["images"] = [base64.b64encode(image.data).decode() for image in message.images]
    return told


def _sampling(sampling: Sampling) -> dict[str, object]:
    """Only what was set; the defaults stay the model's own."""
    named = {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "seed": sampling.seed,
        "num_predict": sampling.max_tokens,
    }
    return {name: value for name, value in named.items() if value is not None}


def loaded_in(answer: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    """The entries of ``GET /api/ps`` by the names of their models."""
    entries = [table(entry) for entry in items(answer.get("models"))]
    return {text(entry.get("name")) or text(entry.get("model")): entry for entry in entries}


def device_of(entry: Mapping[str, object]) -> str:
    """Where a loaded model lies, by ``size`` and ``size_vram`` (``api.ProcessModelResponse``)."""
    size, vram = count(entry.get("size")), count(entry.get("size_vram"))
    if not vram:
        return "CPU"
    return "GPU" if vram >= size else f"GPU {vram * 100 // size} %, CPU"


class StreamFailed(Exception):
    """The stream carried an error; ``args[0]`` is its text."""


class ReplyReader:
    """Turns the lines of one reply into events.

    Attributes:
        ended: the last line of the reply has come.
        prompt_tokens: of the whole prompt, as the last line says; 0 where it does not.
    """

    def __init__(self, *, fresh: bool = True) -> None:
        """Begin a reply; ``fresh`` when nothing of its prompt can be in Ollama's cache."""
        self.ended = False
        self.prompt_tokens = 0
        self._fresh = fresh

    def read(self, line: bytes) -> Iterator[ChatEvent]:
        """The events of one line.

        Raises:
            StreamFailed: Ollama reports an error in the stream.
            ValueError: the line is no JSON object.
        """
        try:
            raw: object = json.loads(line)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        said = table(raw)
        if not said:
            raise ValueError("no object, or an empty one")
        if "error" in said:
            raise StreamFailed(str(said["error"]))
        message = table(said.get("message"))
        if thought := text(message.get("thinking")):
            yield ReasoningDelta(clean(thought))
        if words := text(message.get("content")):
            yield TextDelta(clean(words))
        if said.get("done") is True:
            self.ended = True
            yield from self._end(said)

    def _end(self, said: Mapping[str, object]) -> Iterator[ChatEvent]:
        """Counts, and times in nanoseconds; Ollama leaves zeros out.

        ``prompt_eval_count`` counts cached tokens too and ``prompt_eval_duration`` does not, so
        the time of the prompt is passed on only where nothing can have been cached.
        """
        prompt, decoded = count(said.get("prompt_eval_count")), count(said.get("eval_count"))
        self.prompt_tokens = prompt
        decode_ns = count(said.get("eval_duration"))
        timings = Timings(
            source="engine",
            prompt_tokens=prompt,
            cached_tokens=0,
            prefill_ns=count(said.get("prompt_eval_duration")) if self._fresh else 0,
            decoded_tokens=decoded,
            decode_ns=decode_ns,
        )
        if prompt or decoded:
            yield Usage(prompt, decoded, 0, timings if decoded and decode_ns else None)
        yield Done("length" if text(said.get("done_reason")) == "length" else "stop")


def fewest_tokens(messages: Iterable[ChatMessage]) -> int:
    """A lower bound of the tokens of a conversation: no token reaches over a space into a word."""
    return sum(len(message.content.split()) for message in messages)
