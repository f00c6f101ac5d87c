"""Which engine runs a model, and why. The policy is data: ``choice.toml``.

The order: an engine that holds the model already; the user's own choice for that model; then the
engines that can run its format here, those with a GPU first, in the order of the policy.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.types import EngineInfo, LoadedModel, LocalModel, Probe


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the policy.

    Attributes:
        formats: for what it speaks.
        engines: their names, in order.
        why: the reason shown.
        source: the store it speaks for; None for every one.
        instead: what to do where none of the engines is there; empty where they say it themselves.
    """

    formats: frozenset[str]
    engines: tuple[str, ...]
    why: str
    source: str | None = None
    instead: str = ""

    def speaks_of(self, model: LocalModel) -> bool:
        """Whether the rule decides for ``model``."""
        return model.format.value in self.formats and self.source in (None, model.source.value)


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """An engine as the policy sees it: who it is and, once asked, whether it can be used here."""

    info: EngineInfo
    probe: Probe | None = None

    @property
    def available(self) -> bool:
        """Whether it can load a model now."""
        return self.probe is not None and self.probe.available

    @property
    def missing(self) -> bool:
        """Whether it was asked and is simply not installed, which is no trouble."""
        return self.probe is not None and not self.probe.installed

    @property
    def device(self) -> str:
        """What it would run on, the GPU first: ``CUDA0``, ``CPU``; empty when unknown."""
        names = [device.name for device in self.probe.devices] if self.probe else []
        gpus = [name for name in names if not name.upper().startswith("CPU")]
        return (gpus or names or [""])[0]

    @property
    def has_gpu(self) -> bool:
        """Whether it can use a GPU here."""
        return bool(self.device) and not self.device.upper().startswith("CPU")


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided.

    Attributes:
        engine: name of the engine; None when no engine here can run the model.
        reason: one sentence that says why.
        next_step: what to do when there is no engine, else empty.
        others: the other engines that could run it now, best first.
        chosen_by_user: the user's own choice for this model decided.
        decided: every engine that could run the model has been asked; until then the choice may
            still change.
    """

    engine: str | None
    reason: str
    next_step: str = ""
    others: tuple[str, ...] = ()
    chosen_by_user: bool = False
    decided: bool = True


@functools.cache
def policy() -> tuple[Rule, ...]:
    """The rules of ``choice.toml``, in their order."""
    text = Path(__file__).with_name("choice.toml").read_text(encoding="utf-8")
    return tuple(
        Rule(
            frozenset(rule["formats"]),
            tuple(rule["engines"]),
            rule["why"],
            rule.get("source"),
            rule.get("instead", ""),
        )
        for rule in tomllib.loads(text)["rule"]
    )


def choose(
    model: LocalModel,
    engines: Sequence[EngineStatus],
    *,
    wanted: str | None = None,
    loaded: LoadedModel | None = None,
    rules: Sequence[Rule] | None = None,
) -> Choice:
    """The engine for ``model``.

    Args:
        model: what is to be run.
        engines: every engine there is.
        wanted: the user's own choice for this model, by name.
        loaded: a model that an engine holds now.
        rules: the policy; the packaged one when None.
    """
    able = [c for c in engines if c.info.runs(model)]
    rule = next((r for r in (policy() if rules is None else rules) if r.speaks_of(model)), None)
    order = rule.engines if rule else ()
    ranked = sorted(
        (c for c in able if c.available), key=lambda c: (not c.has_gpu, _place(c.info.name, order))
    )
    decided = all(c.probe is not None for c in able)
    if loaded is not None and loaded.model.id == model.id:
        held = next((c for c in able if c.info.name == loaded.engine), None)
        if held is not None and wanted in (None, loaded.engine):
            return Choice(
                held.info.name,
                f"{held.info.title} has it loaded.",
                others=_names(ranked, held),
                chosen_by_user=wanted is not None,
            )
    refused = ""
    if wanted is not None:
        own = next((c for c in able if c.info.name == wanted), None)
        if own is not None and (own.available or own.probe is None):
            return Choice(
                own.info.name,
                f"You chose {own.info.title} for this model.",
                others=_names(ranked, own),
                chosen_by_user=True,
                decided=own.probe is not None,
            )
        refused = _why_not(model, own, wanted)
    if not ranked:
        return _none(model, able, rule, refused, decided)
    best = ranked[0]
    return Choice(
        best.info.name,
        f"{refused}{_reason(best, ranked, rule)}",
        others=_names(ranked, best),
        decided=decided,
    )


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _names(ranked: Sequence[EngineStatus], without: EngineStatus) -> tuple[str, ...]:
    return tuple(c.info.name for c in ranked if c.info.name != without.info.name)


def _why_not(model: LocalModel, own: EngineStatus | None, wanted: str) -> str:
    if own is None:
        return f"{wanted}, which you chose, does not run {model.format.written}. "
    return f"{own.info.title}, which you chose, is not usable here. "


def _reason(best: EngineStatus, ranked: Sequence[EngineStatus], rule: Rule | None) -> str:
    order = rule.engines if rule else ()
    passed_over = [c for c in ranked if _place(c.info.name, order) < _place(best.info.name, order)]
    if passed_over:
        return (
            f"{best.info.title} has the GPU ({best.device}); {passed_over[0].info.title} has not."
        )
    if rule is not None and best.info.name in rule.engines:
        return f"{rule.why.format(engine=best.info.title)}."
    return f"{best.info.title} is the engine here that can run it."


def _none(
    model: LocalModel,
    able: Sequence[EngineStatus],
    rule: Rule | None,
    refused: str,
    decided: bool,
) -> Choice:
    order = rule.engines if rule else ()
    asked = sorted(
        (c for c in able if c.probe is not None), key=lambda c: _place(c.info.name, order)
    )
    first = asked[0].probe if asked else None
    problem = f" {first.problem}" if first is not None and first.problem else ""
    steps = first.next_step if first is not None and first.next_step else ""
    return Choice(
        None,
        f"{refused}No engine here runs {model.format.written}.{problem}",
        steps or (rule.instead if rule else "") or _would_run(order),
        decided=decided,
    )


def _would_run(order: Sequence[str]) -> str:
    how = "modeldeck engines says how to get one."
    return f"{' or '.join(order[:2])} would; {how}" if order else how.capitalize()
