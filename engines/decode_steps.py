"""The decode steps of one reply: how many tokens took how long, summed, lately, and over time.

Two clocks meet here. A step's *duration* comes from whoever measured it best (the engine, or us);
*when* it ended is always by our clock, which is what a window and a history are cut by.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

WINDOW_NS: Final = 2_000_000_000
QUARTER_NS: Final = 250_000_000
HISTORY: Final = 60
GAPS: Final = 4096
_RESOLUTION_NS: Final = 10_000_000


class _Sample(NamedTuple):
    at_ns: int
    tokens: int
    time_ns: int


class DecodeSteps:
    """Steps from the first token on: n tokens are n - 1 steps.

    Adding a step is O(1). Memory is bounded: the window holds samples at least 10 ms apart, the
    history 60 quarters of a second, and percentiles are over the newest 4096 gaps.

    Attributes:
        tokens: made by all steps.
        time_ns: taken by all steps.
    """

    def __init__(self, begin_ns: int) -> None:
        """Begin at the first token, at ``begin_ns`` of our clock."""
        self.tokens = 0
        self.time_ns = 0
        self._begin_ns = begin_ns
        self._last_ns = begin_ns
        self._window = deque([_Sample(begin_ns, 0, 0)])
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._quarters: deque[float] = deque([0.0], maxlen=HISTORY + 1)
        self._quarter = 0

    def add(self, tokens: int, time_ns: int, at_ns: int) -> None:
        """Take a step that made ``tokens`` (≥ 1) in ``time_ns`` (≥ 0) and ended at ``at_ns``.

        A step that seems to end before the last one, because the clock went back, ends with it.
        """
        at_ns = max(at_ns, self._last_ns)
        self.tokens += tokens
        self.time_ns += time_ns
        if tokens == 1:
            self._gaps.append(time_ns)
        else:
            self._gaps.extend([time_ns / tokens] * min(tokens, GAPS))
        self._spread(tokens, self._last_ns, at_ns)
        self._last_ns = at_ns
        window = self._window
        sample = _Sample(at_ns, self.tokens, self.time_ns)
        if len(window) > 1 and at_ns - window[-2].at_ns < _RESOLUTION_NS:
            window[-1] = sample
        else:
            window.append(sample)
            self._prune(at_ns)

    def _spread(self, tokens: int, from_ns: int, to_ns: int) -> None:
        """Share ``tokens`` out over the quarters in which they were made."""
        quarters = self._quarters
        first = (from_ns - self._begin_ns) // QUARTER_NS
        last = (to_ns - self._begin_ns) // QUARTER_NS
        if first == last:
            quarters[-1] += tokens
            return
        per_ns = tokens / (to_ns - from_ns)
        quarters[-1] += per_ns * (self._begin_ns + (first + 1) * QUARTER_NS - from_ns)
        between = min(last - first - 1, HISTORY)
        quarters.extend([per_ns * QUARTER_NS] * between)
        quarters.append(per_ns * (to_ns - self._begin_ns - last * QUARTER_NS))
        self._quarter = last

    def _prune(self, now_ns: int) -> None:
        window = self._window
        while len(window) > 2 and window[1].at_ns <= now_ns - WINDOW_NS:
            window.popleft()

    def _overdue_ns(self, now_ns: int) -> float:
        """How much longer nothing has come than is usual; within 250 ms all is usual."""
        window = self._window
        usual_ns = (window[-1].at_ns - window[0].at_ns) / max(1, len(window) - 1)
        return max(0.0, now_ns - self._last_ns - max(usual_ns, QUARTER_NS))

    def rate_now(self, now_ns: int) -> float | None:
        """Tokens per second over the last 2 s (over the last step, where that took longer).

        While nothing comes, the time that is overdue counts too: a stalled engine falls to 0.
        """
        self._prune(now_ns)
        base, last = self._window[0], self._window[-1]
        if last.tokens == base.tokens or last.time_ns == base.time_ns:
            return None
        time_ns = last.time_ns - base.time_ns + self._overdue_ns(now_ns)
        return (last.tokens - base.tokens) * 1e9 / time_ns

    def percentiles_ns(self) -> tuple[int, int] | None:
        """The 50th and 95th percentile of the newest gaps (nearest rank); None before the first."""
        if not self._gaps:
            return None
        ordered = sorted(self._gaps)
        count = len(ordered)
        return round(ordered[(count * 50 + 99) // 100 - 1]), round(
            ordered[(count * 95 + 99) // 100 - 1]
        )

    def history(self, now_ns: int) -> tuple[float, ...]:
        """Tokens per second in each of the last 60 quarters of a second that are complete.

        A token is shared out over the time it took, so 3 tok/s is a level line. Quarters up to
        now are added as empty only when a token is overdue.
        """
        made = list(self._quarters)
        if self._overdue_ns(now_ns) > 0:
            silent = (now_ns - self._begin_ns) // QUARTER_NS - self._quarter
            made += [0.0] * min(silent, HISTORY + 1)
        return tuple(tokens * 1e9 / QUARTER_NS for tokens in made[:-1][-HISTORY:])
