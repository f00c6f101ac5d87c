"""What ``modeldeck fit`` is told to load beside its targets: a draft model and adapters."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from modeldeck.engines.catalog.adapters import adapter_at
from modeldeck.engines.catalog.targets import TargetKind, local_model, parse_target
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.fit.companions import OWN_BLOCKS, Companions
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.types import Draft, ModelHeader
from modeldeck.tui.services import Services

OWN = "mtp"
"""What is typed for the model's own blocks for multi-token prediction."""


def with_beside(
    services: Services, given: FitOptions, options: argparse.Namespace
) -> tuple[FitOptions, Companions]:
    """``given`` with ``--draft`` and ``--lora``, and what their files say.

    Raises:
        ModeldeckError: one cannot be found or read.
    """
    adapters = tuple(str(Path(name).expanduser().absolute()) for name in options.lora)
    sizes = tuple(adapter_at(Path(name)) for name in adapters)
    if options.draft is None:
        return replace(given, adapters=adapters), Companions(adapters=sizes)
    if options.draft.lower() == OWN:
        return replace(given, draft=OWN_BLOCKS, adapters=adapters), Companions(adapters=sizes)
    draft, header = _draft(services, options.draft)
    asked = replace(given, draft=draft, adapters=adapters)
    return asked, Companions(draft=header, adapters=sizes)


def _draft(services: Services, text: str) -> tuple[Draft, ModelHeader]:
    """The draft model that is meant, on this machine or elsewhere. Raises ModeldeckError."""
    target = parse_target(text)
    if target.kind not in (TargetKind.HUB, TargetKind.URL):
        model = local_model(target, services.scan_all().models, services.headers)
        if model is not None and model.header is not None:
            return Draft(str(model.path)), model.header
        if model is not None:
            raise ModelNotFound(f"The draft model: {model.problem}", "Name another one.")
    from modeldeck.engines.catalog.remote import RemoteProblem
    from modeldeck.tui.fit_remote import models_elsewhere  # httpx: 60 ms

    for there in models_elsewhere(target, all_variants=False):
        if isinstance(there, RemoteProblem):
            raise there.error
        return Draft(there.name), there.header
    raise ModelNotFound(f"There is no draft model {target.text}.", "Name a path, or hf:repo:file.")
