"""What a chat is made of: what an engine is told, and the events of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is part of a message, as its file holds it.

    Attributes:
        name: of the file, cleaned.
        mime: ``image/png``, ``image/jpeg``, ``image/gif`` or ``image/webp``.
        data: the whole file.
        width: in pixels; 0 when the file does not say.
        height: in pixels; 0 when the file does not say.
    """

    name: str
    mime: str
    data: bytes = field(repr=False)
    width: int = 0
    height: int = 0


class ChatMessage(NamedTuple):
    """One turn of a conversation, as an engine is told it. Images stand before the words."""

    role: Role
    content: str
    images: tuple[Image, ...] = ()


class Sampling(NamedTuple):
    """How the next token is drawn. None leaves the engine's default."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None


class ChatRequest(NamedTuple):
    """A conversation to go on with. The system prompt is the first message, when there is one."""

    instance: str
    messages: tuple[ChatMessage, ...]
    sampling: Sampling = Sampling()


ClockSource = Literal["engine", "wall"]


class Timings(NamedTuple):
    """Counts and times of one reply so far, in nanoseconds, with who measured them.

    Attributes:
        source: ``engine`` when the engine reported them, ``wall`` when we clocked them.
        prompt_tokens: tokens of the prompt that were computed (cached ones are not).
        cached_tokens: prompt tokens taken from the cache.
        prefill_ns: time over ``prompt_tokens``.
        decoded_tokens: tokens generated so far.
        decode_ns: time over ``decoded_tokens``.
    """

    source: ClockSource
    prompt_tokens: int
    cached_tokens: int
    prefill_ns: int
    decoded_tokens: int
    decode_ns: int


class PrefillProgress(NamedTuple):
    """The prompt is being computed: ``processed`` of ``total`` tokens, ``cached`` of them free."""

    processed: int
    total: int
    cached: int
    elapsed_ns: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of an answer. ``timings`` are its totals so far, if the engine gives them."""

    text: str
    timings: Timings | None = None


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of the model's reasoning, apart from the answer."""

    text: str
    timings: Timings | None = None


class Usage(NamedTuple):
    """Final counts of a reply. ``prompt_tokens`` includes the cached ones."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    timings: Timings | None


StopReason = Literal["stop", "length", "cancelled"]


class Done(NamedTuple):
    """The reply has ended: at an end token (``stop``), at a limit (``length``) or by request."""

    reason: StopReason


ChatEvent = PrefillProgress | TextDelta | ReasoningDelta | Usage | Done
