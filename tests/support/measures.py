"""What a benchmark found: measures against their targets, and the table made of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Sense = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table.

    Attributes:
        what: was measured.
        values: what each round gave; ratios have no unit.
        unit: as it is written behind a value.
        sense: whether a small value or a large one is good.
        limit: the target; None for what is only told.
        worst: the worst value is held to the target, not the median.
    """

    what: str
    values: tuple[float, ...]
    unit: str = "×"
    sense: Sense = "at most"
    limit: float | None = None
    worst: bool = False

    @property
    def value(self) -> float:
        """The value that is held to the target."""
        if not self.worst:
            return statistics.median(self.values)
        return max(self.values) if self.sense == "at most" else min(self.values)

    @property
    def met(self) -> bool:
        """Whether the target is met; there may be none."""
        if self.limit is None:
            return True
        return self.value <= self.limit if self.sense == "at most" else self.value >= self.limit


def number(value: float) -> str:
    """Three digits, and no point where they need none: ``0.24``, ``1.31``, ``37.4``, ``512``."""
    if value == int(value) or value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(measures: Sequence[Measure]) -> str:
    """The measures as a Markdown table."""
    rows = [("Measure", "Found", "Spread", "Rounds", "Target", "")]
    for measure in measures:
        low, high = number(min(measure.values)), number(max(measure.values))
        target = "" if measure.limit is None else f"{measure.sense} {number(measure.limit)}"
        rows.append(
            (
                measure.what,
                f"{number(measure.value)} {measure.unit}".strip(),
                f"{low} to {high}",
                str(len(measure.values)),
                f"{target} {measure.unit}".strip() if target else "for information",
                "" if measure.limit is None else "met" if measure.met else "MISSED",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join(
        (lines[0], "|-" + "-|-".join("-" * width for width in widths) + "-|", *lines[1:])
    )


def interleaved(rounds: int, *sides: Callable[[], float]) -> list[tuple[float, ...]]:
    """What each side gives, side after side, round after round.

    A machine that is slow for a moment is so for both sides of a round; their ratio is what counts.
    The sides take turns in being first.
    """
    found: list[tuple[float, ...]] = []
    for turn in range(rounds):
        order = range(len(sides)) if turn % 2 == 0 else range(len(sides) - 1, -1, -1)
        values = {index: sides[index]() for index in order}
        found.append(tuple(values[index] for index in range(len(sides))))
    return found
