"""Token events in, rates out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modeldeck.engines.types import ClockSource

Phase = Literal["idle", "queue", "load", "prefill", "decode", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate that says who measured it: the engine, or our clock."""

    tokens_per_second: float
    source: ClockSource


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything the throughput panel shows of one reply; None is "not known (yet)".

    Attributes:
        phase: what the engine is doing.
        phase_fraction: 0…1 within load or prefill.
        elapsed_ns: since the request was sent (frozen when the reply ends).
        decode_now: rate over the sliding window.
        decode_mean: rate over the whole reply.
        prefill: prompt rate.
        first_token_ns: from request to first token, by our clock.
        gap_p50_ns: median time between tokens.
        gap_p95_ns: 95th percentile of the same.
        gap_source: who clocked the gaps.
        prompt_tokens: tokens in, cached ones included.
        cached_tokens: of those, taken from the cache.
        completion_tokens: tokens out.
        history: decode rate per past quarter second, oldest first, at most 60.
        cjk_characters_per_second: CJK characters of the answer over decode time.
        words_per_second: words of the rest over decode time.
        feel: how the speed feels to a reader, by the mean decode rate; empty before the first.
    """

    phase: Phase = "idle"
    phase_fraction: float | None = None
    elapsed_ns: int = 0
    decode_now: Rate | None = None
    decode_mean: Rate | None = None
    prefill: Rate | None = None
    first_token_ns: int | None = None
    gap_p50_ns: int | None = None
    gap_p95_ns: int | None = None
    gap_source: ClockSource | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    history: tuple[float, ...] = ()
    cjk_characters_per_second: float | None = None
    words_per_second: float | None = None
    feel: str = ""


IDLE = Reading()
