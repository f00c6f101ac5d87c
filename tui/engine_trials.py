"""Tries engines with the smallest model that each runs, and says how they did."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.trial import Trial, try_engine
from modeldeck.engines.types import Device, LocalModel
from modeldeck.tui.services import Services

_CONTEXT_TOKENS: Final = 512


def trial_model(engine: Engine, models: Iterable[LocalModel]) -> LocalModel:
    """The smallest sound model that ``engine`` runs.

    Raises:
        ModelNotFound: there is none here.
    """
    able = [model for model in models if model.problem is None and engine.info.runs(model)]
    if not able:
        formats = ", ".join(sorted(one.written for one in engine.info.formats))
        raise ModelNotFound(
            f"There is no model here that {engine.info.title} runs ({formats}).",
            "Get a small one: modeldeck search",
        )
    return min(able, key=lambda model: (model.size_bytes, model.name))


async def tried(
    services: Services, engine: Engine, devices: tuple[Device, ...], models: Iterable[LocalModel]
) -> Trial:
    """Try ``engine`` with the smallest model that it runs. Raises ModelNotFound."""
    model = trial_model(engine, models)
    hardware, _ = await asyncio.to_thread(services.sample, None)
    plan = services.plan(model, _CONTEXT_TOKENS, "f16", hardware, devices)
    return await try_engine(engine, model, plan)


def trial_lines(trial: Trial) -> Iterator[str]:
    """A trial in lines: how it went, then each step."""
    yield verdict_of(trial)
    for step in trial.steps:
        text = step.problem or step.remark
        yield f"  {step.name:<9} {step.took_ms:>6.0f} ms  {text}".rstrip()
        if step.next_step:
            yield f"{'':<23}next: {step.next_step}"


def verdict_of(trial: Trial) -> str:
    """How it went, in a sentence."""
    failure = trial.failure
    if failure is not None:
        return f"{trial.engine} does not work with {trial.model}: {failure.problem}"
    return f"{trial.engine} works with {trial.model}"


def trial_record(trial: Trial) -> dict[str, object]:
    """A trial with the stable keys of ``engines --test --json``."""
    return {
        "model": trial.model,
        "passed": trial.failure is None,
        "steps": [
            {
                "name": step.name,
                "took_ms": round(step.took_ms, 3),
                "remark": step.remark,
                "problem": step.problem or None,
                "next_step": step.next_step or None,
            }
            for step in trial.steps
        ],
    }
