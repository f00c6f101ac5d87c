"""Token events in, rates out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from modeldeck.engines.chat import (
    ChatEvent,
    ClockSource,
    Done,
    PrefillProgress,
    ReasoningDelta,
    TextDelta,
    Timings,
    Usage,
)
from modeldeck.engines.decode_steps import DecodeSteps
from modeldeck.engines.reading_pace import TextCounter, feel_of
from modeldeck.engines.thinking import Thinking

Phase = Literal["idle", "queue", "load", "prefill", "decode", "done", "stopped", "failed"]

_ENDED: Final = frozenset({"done", "stopped", "failed"})
_WAITING: Final = frozenset({"idle", "queue", "load"})
_MOST: Final = 2**62


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
        phase_fraction: 0…1 within load, or within the part of the prompt that is computed.
        elapsed_ns: since the request was sent, or since the wait or load before it began; frozen
            when the reply ends.
        decode_now: rate over the last 2 s; falls towards 0 while nothing comes.
        decode_mean: rate over the whole reply.
        prefill: rate over the prompt tokens that were computed. By our clock it is over the time
            to the first token, so it includes whatever else that time was spent on.
        first_token_ns: from request to first text or reasoning, by our clock.
        gap_p50_ns: median time between tokens.
        gap_p95_ns: 95th percentile of the same.
        gap_source: who clocked the gaps.
        prompt_tokens: tokens in, cached ones included.
        cached_tokens: of those, taken from the cache.
        completion_tokens: tokens out; before an engine has counted them, the pieces that came.
        history: decode rate in each complete quarter second, oldest first, at most 60.
        cjk_characters_per_second: CJK characters of answer and reasoning over decode time, by the
            clock of ``decode_mean``.
        words_per_second: words of the rest, likewise.
        feel: how the speed feels to a reader, by the mean decode rate; empty before the first.
        thought_ns: from the first piece of reasoning to the first of the answer, by our clock.
        thought_tokens: tokens before the first piece of the answer, when there was reasoning.
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
    thought_ns: int | None = None
    thought_tokens: int | None = None


IDLE: Final = Reading()


def _sane(count: int) -> int:
    """A count or a time as an engine may report it: never negative, never beyond a float."""
    return min(max(0, count), _MOST)


def _rate(tokens: int, time_ns: int, source: ClockSource) -> Rate | None:
    tokens, time_ns = _sane(tokens), _sane(time_ns)
    return Rate(tokens * 1e9 / time_ns, source) if tokens and time_ns else None


def _fraction(progress: PrefillProgress) -> float | None:
    todo = _sane(progress.total) - _sane(progress.cached)
    done = _sane(progress.processed) - _sane(progress.cached)
    return min(1.0, max(0.0, done / todo)) if todo > 0 else None


class Meter:
    """Meters one reply; knows no clock of its own.

    Where the engine sends running totals with its pieces, their differences are the steps: exact
    whatever the network does, and right for engines that count the first token's time and for
    those that do not (llama.cpp begins ``predicted_ms`` when the first token is there, so its own
    ``predicted_per_second`` of n tokens is n / (n - 1) too high). Where only the final usage has
    timings, the mean is the engine's and the rest is our clock's, one token for each piece. Totals
    that run backwards begin a new series. Nothing an engine or a clock does makes it raise.

    ``observe`` is O(1) and the memory is bounded.
    """

    def __init__(self) -> None:
        self._phase: Phase = "idle"
        self._fraction: float | None = None
        self._begin_ns: int | None = None
        self._sent_ns: int | None = None
        self._end_ns: int | None = None
        self._first_ns: int | None = None
        self._last_ns = 0
        self._pieces = 0
        self._counter = TextCounter()
        self._progress: PrefillProgress | None = None
        self._usage: Usage | None = None
        self._timings: Timings | None = None
        self._totals: tuple[int, int] | None = None
        self._decoded = 0
        self._source: ClockSource = "wall"
        self._steps: DecodeSteps | None = None
        self._thinking = Thinking()

    def queued(self, at_ns: int) -> None:
        """The question waits for a model."""
        self._enter("queue", at_ns)

    def loading(self, fraction: float | None, at_ns: int) -> None:
        """The question waits for a load that has come so far (0…1)."""
        if self._phase != "load":
            self._enter("load", at_ns)
        if self._phase == "load":
            known = fraction is not None and fraction == fraction  # NaN is unknown
            self._fraction = (
                min(1.0, max(0.0, fraction)) if fraction is not None and known else None
            )

    def started(self, at_ns: int) -> None:
        """The request is sent."""
        self._enter("prefill", at_ns)
        self._sent_ns = at_ns

    def _enter(self, phase: Phase, at_ns: int) -> None:
        if self._phase not in _ENDED:
            self._phase, self._fraction, self._begin_ns = phase, None, at_ns

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
        """Take one event that came at ``at_ns`` of a monotonic clock.

        After the end only a late ``Usage`` still counts.
        """
        match event:
            case Usage():
                self._usage = event
                self._close_totals(event.timings, at_ns)
            case _ if self._phase in _ENDED:
                pass
            case TextDelta() | ReasoningDelta():
                if event.text and isinstance(event, TextDelta):
                    self._thinking.end(at_ns, self._decoded or self._pieces)
                elif event.text:
                    self._thinking.begin(at_ns)
                self._observe_piece(event.text, event.timings, at_ns)
            case PrefillProgress():
                self._progress = event
                self._leave_wait(at_ns)
                if self._phase == "prefill":
                    self._fraction = _fraction(event)
            case Done(reason=reason):
                self._finish("stopped" if reason == "cancelled" else "done", at_ns)

    def _leave_wait(self, at_ns: int) -> None:
        if self._phase in _WAITING:
            self._enter("prefill", at_ns)

    def _observe_piece(self, text: str, timings: Timings | None, at_ns: int) -> None:
        if not text and timings is None:
            return
        self._counter.add(text)
        self._pieces += 1
        if self._first_ns is None:
            self._leave_wait(at_ns)
            self._phase, self._fraction = "decode", None
            self._first_ns = self._last_ns = at_ns
        if timings is not None:
            self._take(timings, at_ns)
        elif self._totals is None:
            if self._steps is None:
                self._steps = DecodeSteps(at_ns)
            else:
                self._steps.add(1, max(0, at_ns - self._last_ns), at_ns)
        self._last_ns = max(self._last_ns, at_ns)

    def _take(self, timings: Timings, at_ns: int) -> None:
        """Take the running totals that came with a piece: what they grew by is a step."""
        self._timings = timings
        tokens, time_ns = _sane(timings.decoded_tokens), _sane(timings.decode_ns)
        if self._totals is None or self._steps is None or self._source != timings.source:
            # The first totals; steps by our clock of earlier pieces are not mixed in.
            self._steps = DecodeSteps(at_ns)
            self._source = timings.source
            self._totals = tokens, time_ns
            self._decoded = max(self._decoded, tokens)
            return
        new = tokens - self._totals[0]
        new_ns = time_ns - self._totals[1]
        if new > 0 and new_ns >= 0:
            self._steps.add(new, new_ns, at_ns)
            self._decoded += new
        if new != 0 or new_ns < 0:
            self._totals = tokens, time_ns

    def _close_totals(self, timings: Timings | None, at_ns: int) -> None:
        if timings is None:
            return
        if self._totals is None:
            self._timings = timings
            self._decoded = _sane(timings.decoded_tokens)
        else:
            self._take(timings, at_ns)

    def reading(self, now_ns: int) -> Reading:
        """The meter at ``now_ns``: a reply that stalls is seen to fall towards zero."""
        end_ns = self._end_ns if self._end_ns is not None else now_ns
        steps, usage = self._steps, self._usage
        now = steps.rate_now(end_ns) if steps else None
        gaps = steps.percentiles_ns() if steps else None
        mean = self._mean()
        tokens = self._completion_tokens()
        prompt, cached = self._prompt_tokens()
        per_token = mean.tokens_per_second / tokens if mean and tokens else None
        characters, words = self._counter.cjk_characters, self._counter.words
        thought = self._thinking.measured(end_ns, self._decoded or self._pieces)
        first_ns = None
        if self._first_ns is not None and self._sent_ns is not None:
            first_ns = max(0, self._first_ns - self._sent_ns)
        return Reading(
            phase=self._phase,
            phase_fraction=self._fraction,
            elapsed_ns=0 if self._begin_ns is None else max(0, end_ns - self._begin_ns),
            decode_now=None if now is None else Rate(now, self._source),
            decode_mean=mean,
            prefill=self._prefill(usage, first_ns),
            first_token_ns=first_ns,
            gap_p50_ns=gaps[0] if gaps else None,
            gap_p95_ns=gaps[1] if gaps else None,
            gap_source=self._source if gaps else None,
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=tokens,
            history=steps.history(end_ns) if steps else (),
            cjk_characters_per_second=characters * per_token if characters and per_token else None,
            words_per_second=words * per_token if words and per_token else None,
            feel=feel_of(mean.tokens_per_second) if mean else "",
            thought_ns=thought[0] if thought else None,
            thought_tokens=thought[1] if thought else None,
        )

    def _mean(self) -> Rate | None:
        timings, steps, usage = self._timings, self._steps, self._usage
        if timings is not None and self._totals is None:
            whole = _rate(timings.decoded_tokens, timings.decode_ns, timings.source)
            if whole is not None:
                return whole
        if steps is None:
            return None
        made = steps.tokens
        if self._totals is None and usage is not None and usage.completion_tokens > 1:
            made = usage.completion_tokens - 1  # a piece may have been more or less than a token
        return _rate(made, steps.time_ns, self._source)

    def _prefill(self, usage: Usage | None, first_ns: int | None) -> Rate | None:
        timings, progress = self._timings, self._progress
        if timings is not None:
            measured = _rate(timings.prompt_tokens, timings.prefill_ns, timings.source)
            if measured is not None:
                return measured
        if progress is not None:
            computed = _sane(progress.processed) - _sane(progress.cached)
            measured = _rate(computed, progress.elapsed_ns, "engine")
            if measured is not None:
                return measured
        if usage is not None and first_ns is not None:
            computed = _sane(usage.prompt_tokens) - _sane(usage.cached_tokens)
            return _rate(computed, first_ns, "wall")
        return None

    def _prompt_tokens(self) -> tuple[int | None, int | None]:
        if self._usage is not None:
            return _sane(self._usage.prompt_tokens), _sane(self._usage.cached_tokens)
        if self._timings is not None:
            cached = _sane(self._timings.cached_tokens)
            return _sane(self._timings.prompt_tokens) + cached, cached
        if self._progress is not None:
            return _sane(self._progress.total), _sane(self._progress.cached)
        return None, None

    def _completion_tokens(self) -> int | None:
        counted = self._decoded or self._pieces
        if self._usage is not None:
            return _sane(self._usage.completion_tokens) or counted
        return counted or None
