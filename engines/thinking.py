"""How long a model thought before it answered, and over how many tokens."""

from __future__ import annotations


class Thinking:
    """From the first piece of reasoning to the first of the answer. Knows no clock of its own."""

    def __init__(self) -> None:
        self._begin_ns: int | None = None
        self._end_ns: int | None = None
        self._tokens = 0

    def begin(self, at_ns: int) -> None:
        """A piece of reasoning came. Only the first counts."""
        if self._begin_ns is None:
            self._begin_ns = at_ns

    def end(self, at_ns: int, tokens: int) -> None:
        """A piece of the answer came, after ``tokens`` in all. Only the first counts."""
        if self._begin_ns is not None and self._end_ns is None:
            self._end_ns, self._tokens = at_ns, tokens

    def measured(self, now_ns: int, tokens: int) -> tuple[int, int] | None:
        """Nanoseconds and tokens; as of now, with ``tokens`` in all, while it goes on.

        None without reasoning.
        """
        if self._begin_ns is None:
            return None
        if self._end_ns is None:
            return max(0, now_ns - self._begin_ns), tokens
        return max(0, self._end_ns - self._begin_ns), self._tokens
