"""Whether an engine runs a format on a card at all, and how: rules kept as data, with sources."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from modeldeck.engines.fit.types import Card
from modeldeck.engines.types import ModelFormat


@dataclass(frozen=True, slots=True)
class Runs:
    """It runs.

    Attributes:
        note: what is different there, as a clause; may be empty.
        sure: somebody said so; else it follows from what they said of others.
        source: who.
    """

    note: str = ""
    sure: bool = True
    source: str = ""

    @property
    def written(self) -> str:
        """The note, with its doubt; may be empty."""
        return self.note if self.sure or not self.note else f"{self.note}, probably"


@dataclass(frozen=True, slots=True)
class CannotRun:
    """It does not run.

    Attributes:
        reason: why, as a clause.
        source: who said so; empty when no rule speaks of it.
    """

    reason: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of ``runnable.toml``; its head says what each field is."""

    engines: tuple[str, ...]
    formats: tuple[str, ...]
    vendors: tuple[str, ...]
    least: float
    older: str
    runs: Runs


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in order. Read once, when first asked for: some 10 ms."""
    text = Path(__file__).with_name("runnable.toml").read_text(encoding="utf-8")
    return tuple(_rule(row) for row in cast("list[dict[str, object]]", tomllib.loads(text)["rule"]))


def runnable(model_format: ModelFormat, engine: str, card: Card) -> Runs | CannotRun:
    """Whether ``engine`` (an adapter's name) runs ``model_format`` with ``card``.

    A card of which neither vendor nor compute capability is known is given the benefit of the
    doubt: the answer is then not sure.
    """
    known = [rule for rule in rules() if engine in rule.engines and model_format in rule.formats]
    if not known:
        return CannotRun(f"{engine} does not load {model_format.written}")
    if card.vendor is None:
        return Runs(sure=False)
    here = [rule for rule in known if card.vendor in rule.vendors]
    if not here:
        source = known[0].runs.source
        return CannotRun(f"{engine} does not run {model_format.written} on {card.name}", source)
    capability = _capability(card)
    for rule in here:
        if capability is None or capability >= rule.least:
            return rule.runs
    last = here[-1]
    return CannotRun(f"{last.older}; {card.name} has {card.compute}", last.runs.source)


def _capability(card: Card) -> float | None:
    """As one number; None where the vendor has none."""
    if card.vendor != "nvidia" or not card.compute:
        return None
    return float(card.compute)


def _rule(row: dict[str, object]) -> Rule:
    def words(key: str) -> tuple[str, ...]:
        return tuple(cast("list[str]", row[key]))

    return Rule(
        engines=words("engines"),
        formats=words("formats"),
        vendors=words("vendors"),
        least=cast("float", row.get("least", 0.0)),
        older=cast("str", row.get("older", "")),
        runs=Runs(
            cast("str", row.get("note", "")),
            cast("bool", row.get("sure", True)),
            cast("str", row["source"]),
        ),
    )
