"""Token events in, rates out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from modeldeck.engines.reading_pace import TextCounter, feel_of
from modeldeck.engines.types import (
    ChatEvent,
    ClockSource,
    Done,
    PrefillProgress,
    ReasoningDelta,
    TextDelta,
    Timings,
    Usage,
)

Phase = Literal["idle", "queue", "load", "prefill", "decode", "done", "stopped", "failed"]

WINDOW_NS: Final = 2_000_000_000
QUARTER_NS: Final = 250_000_000
_RESOLUTION_NS: Final = 10_000_000
_GAPS: Final = 4096
_HISTORY: Final = 60
_ENDED: Final = frozenset({"done", "stopped", "failed"})


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
        decode_now: rate over the last 2 s.
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


@dataclass(frozen=True, slots=True)
class _Sample:
    at_ns: int
    tokens: int
    decode_ns: int


def _rate(tokens: int, time_ns: int, source: ClockSource) -> Rate | None:
    return Rate(tokens * 1e9 / time_ns, source) if tokens > 0 and time_ns > 0 else None


class Meter:
    """Meters one reply.

    Times reported by the engine are preferred to our clock's. ``observe`` is O(1) and the memory
    is bounded: gaps are kept for the last 4096 tokens, the sliding window at 10 ms steps.
    """

    def __init__(self) -> None:
        self._phase: Phase = "idle"
        self._fraction: float | None = None
        self._start_ns = 0
        self._end_ns: int | None = None
        self._first_ns: int | None = None
        self._last_ns = 0
        self._tokens = 0
        self._decode_ns = 0
        self._source: ClockSource = "wall"
        self._timings: Timings | None = None
        self._progress: PrefillProgress | None = None
        self._usage: Usage | None = None
        self._window: deque[_Sample] = deque()
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self._quarters: deque[int] = deque(maxlen=_HISTORY)
        self._quarter = 0
        self._counter = TextCounter()

    def queued(self, at_ns: int) -> None:
        """The question waits for a model."""
        self._begin("queue", at_ns)

    def loading(self, fraction: float | None, at_ns: int) -> None:
        """The question waits for a load that has come so far."""
        if self._phase != "load":
            self._begin("load", at_ns)
        self._fraction = fraction

    def started(self, at_ns: int) -> None:
        """The request is sent."""
        self._begin("prefill", at_ns)

    def _begin(self, phase: Phase, at_ns: int) -> None:
        self._phase, self._fraction, self._start_ns = phase, None, at_ns

    def stopped(self, at_ns: int) -> None:
        """The reply was stopped by request."""
        self._finish("stopped", at_ns)

    def failed(self, at_ns: int) -> None:
        """The reply failed."""
        self._finish("failed", at_ns)

    def _finish(self, phase: Phase, at_ns: int) -> None:
        if self._phase not in _ENDED:
            self._phase, self._fraction, self._end_ns = phase, None, at_ns

    def observe(self, event: ChatEvent, at_ns: int) -> None:
        """Take one event that came at ``at_ns`` of a monotonic clock."""
        if self._phase in _ENDED and not isinstance(event, Usage):
            return
        match event:
            case TextDelta() | ReasoningDelta():
                self._observe_token(event.text, event.timings, at_ns)
            case PrefillProgress():
                self._progress = event
                todo = event.total - event.cached
                done = event.processed - event.cached
                self._fraction = min(1.0, max(0.0, done / todo)) if todo > 0 else None
            case Usage():
                self._usage = event
                if event.timings is not None:
                    self._take(event.timings)
            case Done(reason=reason):
                self._finish("stopped" if reason == "cancelled" else "done", at_ns)

    def _observe_token(self, text: str, timings: Timings | None, at_ns: int) -> None:
        if self._first_ns is None:
            self._first_ns = self._last_ns = at_ns
            self._phase, self._fraction = "decode", None
            self._window.append(_Sample(at_ns, 0, 0))
        self._counter.add(text)
        tokens_before, decode_before_ns = self._tokens, self._decode_ns
        if timings is not None:
            self._take(timings)
        else:
            self._tokens += 1
            self._decode_ns = max(0, at_ns - self._first_ns)
        new = self._tokens - tokens_before
        elapsed_ns = self._decode_ns - decode_before_ns
        if tokens_before > 0 and new > 0 and elapsed_ns >= 0:
            self._gaps.append(elapsed_ns / new)
        self._last_ns = max(self._last_ns, at_ns)
        self._advance(at_ns)
        if self._quarters and new > 0:
            self._quarters[-1] += new
        sample = _Sample(self._last_ns, self._tokens, self._decode_ns)
        if len(self._window) > 1 and at_ns - self._window[-2].at_ns < _RESOLUTION_NS:
            self._window[-1] = sample
        else:
            self._window.append(sample)
        self._prune(at_ns)

    def _take(self, timings: Timings) -> None:
        self._timings = timings
        if timings.decoded_tokens >= self._tokens:
            self._tokens = timings.decoded_tokens
        if timings.decode_ns >= self._decode_ns or self._source != timings.source:
            self._decode_ns = timings.decode_ns
        self._source = timings.source

    def _advance(self, at_ns: int) -> None:
        if self._first_ns is None:
            return
        quarter = max(0, at_ns - self._first_ns) // QUARTER_NS
        if not self._quarters:
            self._quarters.append(0)
            self._quarter = quarter
        missing = min(quarter - self._quarter, _HISTORY)
        for _ in range(missing):
            self._quarters.append(0)
        self._quarter = max(self._quarter, quarter)

    def _prune(self, now_ns: int) -> None:
        window = self._window
        while len(window) > 1 and window[1].at_ns <= now_ns - WINDOW_NS:
            window.popleft()

    def reading(self, now_ns: int) -> Reading:
        """The meter at ``now_ns``: a reply that stalls is seen to fall towards zero."""
        end_ns = self._end_ns if self._end_ns is not None else now_ns
        waiting = self._phase == "idle"
        usage = self._usage
        timings = self._timings
        cached = usage.cached_tokens if usage else timings.cached_tokens if timings else None
        prompt: int | None = None
        if usage is not None:
            prompt = usage.prompt_tokens
        elif timings is not None:
            prompt = timings.prompt_tokens + timings.cached_tokens
        elif self._progress is not None:
            prompt = self._progress.total
        # The first token comes out of prefill: n tokens are n - 1 decode steps of our clock.
        steps = self._tokens if self._source == "engine" else self._tokens - 1
        mean = _rate(steps, self._decode_ns, self._source)
        seconds = self._decode_ns / 1e9
        p50, p95 = self._percentiles()
        return Reading(
            phase=self._phase,
            phase_fraction=self._fraction,
            elapsed_ns=0 if waiting else max(0, end_ns - self._start_ns),
            decode_now=self._now(end_ns),
            decode_mean=mean,
            prefill=self._prefill(),
            first_token_ns=(
                max(0, self._first_ns - self._start_ns) if self._first_ns is not None else None
            ),
            gap_p50_ns=p50,
            gap_p95_ns=p95,
            gap_source=self._source if p50 is not None else None,
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=self._tokens if self._first_ns is not None else None,
            history=self._history(end_ns),
            cjk_characters_per_second=self._per_second(self._counter.cjk_characters, seconds),
            words_per_second=self._per_second(self._counter.words, seconds),
            feel=feel_of(mean.tokens_per_second) if mean else "",
        )

    @staticmethod
    def _per_second(count: int, seconds: float) -> float | None:
        return count / seconds if count and seconds > 0 else None

    def _now(self, now_ns: int) -> Rate | None:
        if not self._window:
            return None
        self._prune(now_ns)
        base, last = self._window[0], self._window[-1]
        silent_ns = max(0, now_ns - last.at_ns)
        if last is base:
            return Rate(0.0, self._source) if silent_ns > QUARTER_NS else None
        time_ns = last.decode_ns - base.decode_ns
        if silent_ns > QUARTER_NS and self._end_ns is None:
            time_ns += silent_ns
        return _rate(last.tokens - base.tokens, time_ns, self._source)

    def _prefill(self) -> Rate | None:
        timings, progress = self._timings, self._progress
        if timings is not None:
            return _rate(timings.prompt_tokens, timings.prefill_ns, timings.source)
        if progress is not None:
            return _rate(progress.processed - progress.cached, progress.elapsed_ns, "engine")
        return None

    def _percentiles(self) -> tuple[int | None, int | None]:
        if not self._gaps:
            return None, None
        ordered = sorted(self._gaps)
        last = len(ordered) - 1
        return round(ordered[last // 2]), round(ordered[min(last, round(last * 0.95))])

    def _history(self, now_ns: int) -> tuple[float, ...]:
        if self._end_ns is None:
            self._advance(now_ns)
        return tuple(tokens * 1e9 / QUARTER_NS for tokens in self._quarters)
