"""How often to draw: less often while the terminal does not take what was drawn before. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

SLOWEST_MS: Final = 2000
WAITING_WRITES: Final = 2
"""Writes that wait for the terminal from which it counts as slow."""

_CALM_DRAWS: Final = 8


@dataclass(frozen=True, slots=True)
class Pace:
    """The time between two drawings of what streams.

    Attributes:
        least_ms: what the line gets while it keeps up.
        batch_ms: now.
        calm: drawings in a row that did not have to wait.
    """

    least_ms: int
    batch_ms: int
    calm: int = 0

    @classmethod
    def of(cls, least_ms: int) -> Pace:
        """A pace that begins as fast as it may."""
        return cls(least_ms, least_ms)

    @property
    def slowed(self) -> bool:
        """Whether the terminal does not keep up."""
        return self.batch_ms > self.least_ms

    def after(self, waiting_writes: int) -> Pace:
        """The pace after a drawing that found so many writes still waiting.

        Doubles at once when the terminal is behind; halves only after it has kept up for a while,
        so that it does not swing.
        """
        if waiting_writes >= WAITING_WRITES:
            return replace(self, batch_ms=min(SLOWEST_MS, self.batch_ms * 2), calm=0)
        if not self.slowed:
            return self
        if self.calm + 1 < _CALM_DRAWS:
            return replace(self, calm=self.calm + 1)
        return replace(self, batch_ms=max(self.least_ms, self.batch_ms // 2), calm=0)
