"""The draft model and the adapters that ``modeldeck fit`` was told to judge with its targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modeldeck.engines.catalog.reading import adapter_in
from modeldeck.engines.catalog.remote import RemoteProblem
from modeldeck.engines.catalog.targets import TargetKind, local_model, parse_target
from modeldeck.engines.errors import ModeldeckError, ModelNotFound
from modeldeck.engines.fit.beside import Adapter, Beside, Draft
from modeldeck.engines.fit.shape import Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.types import ModelFormat, ModelHeader
from modeldeck.tui.services import Services


def beside(services: Services, draft: str | None, adapters: Sequence[str]) -> Beside:
    """Read the headers of all that is loaded beside a model.

    Raises:
        ModeldeckError: one of them cannot be found, read or judged.
    """
    return Beside(_draft(services, draft) if draft else None, tuple(map(_adapter, adapters)))


def _adapter(text: str) -> Adapter:
    header = adapter_in(Path(text).expanduser())
    return Adapter(str(Path(text).expanduser()), header.architecture, header.weights)


def _draft(services: Services, text: str) -> Draft:
    name, header = _found(services, text)
    if header is None or header.format not in (ModelFormat.GGUF, ModelFormat.LLAMAFILE):
        raise ModelNotFound("The draft is no GGUF model that can be read.", "Name another draft.")
    shape = shape_of(header)
    if isinstance(shape, Unjudged):
        raise ModeldeckError(f"The draft is not judged: {shape.why}.", "Name another draft.")
    return Draft(name, shape)


def _found(services: Services, text: str) -> tuple[str, ModelHeader | None]:
    """The draft's name in a command, and its header."""
    target = parse_target(text)
    if target.kind is not TargetKind.HUB:
        model = local_model(target, services.scan_all().models, services.headers)
        if model is None:
            raise ModelNotFound(
                "The draft is not on this machine.", "Name a file, or one of hf:owner/name."
            )
        return str(model.path), model.header
    from modeldeck.tui.fit_remote import models_elsewhere  # httpx: 60 ms

    there = next(iter(models_elsewhere(target, all_variants=False)))
    if isinstance(there, RemoteProblem):
        raise there.error
    return text, there.header
