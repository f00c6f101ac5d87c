"""What llama.cpp's server loads beside a model: a projector, something that drafts, adapters.

Option names: ``common/arg.cpp``. Builds from before April 2026 have fewer of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from modeldeck.engines.adapters.llama_server_dialect import Dialect
from modeldeck.engines.errors import LoadFailed
from modeldeck.engines.types import ALL_LAYERS, Draft, Plan


def beside_words(plan: Plan, dialect: Dialect, projector: Path | None) -> Iterator[str]:
    """The words for a ``llama-server``.

    Raises:
        LoadFailed: this build cannot draft with the model's own blocks.
    """
    if projector is not None and dialect.knows("--mmproj"):
        yield from ("--mmproj", str(projector))
        if plan.gpu_layers == 0 and dialect.knows("--no-mmproj-offload"):
            yield "--no-mmproj-offload"
    for adapter in plan.adapters:
        yield from ("--lora", adapter)
    if plan.draft is not None:
        yield from _draft_words(plan.draft, plan, dialect)


def _draft_words(draft: Draft, plan: Plan, dialect: Dialect) -> Iterator[str]:
    most = "--spec-draft-n-max" if dialect.knows("--spec-draft-n-max") else "--draft-max"
    if not draft.model and not dialect.knows("--spec-type"):
        raise LoadFailed(
            "This llama-server does not draft with a model's own blocks.",
            "Load the model without a draft, or get a newer build.",
        )
    if dialect.knows("--spec-type"):
        yield from ("--spec-type", "draft-simple" if draft.model else "draft-mtp")
    yield from (most, str(draft.tokens))
    if draft.model:
        yield from ("-md", draft.model, "-ngld", str(ALL_LAYERS if plan.gpu_layers else 0))
    if plan.gpu_layers == 0 and dialect.knows("-devd"):
        yield from ("-devd", "none")
    if dialect.knows("-ctkd"):
        yield from ("-ctkd", "f16", "-ctvd", "f16")


def beside_settings(plan: Plan, projector: Path | None) -> Mapping[str, object]:
    """The same as attributes of ``xllamacpp.CommonParams``."""
    settings: dict[str, object] = {}
    if projector is not None:
        settings |= {"mmproj.path": str(projector), "mmproj_use_gpu": plan.gpu_layers != 0}
    if plan.adapters:
        settings["lora_adapters"] = [
            {"class": "CommonAdapterLoraInfo", "path": adapter, "scale": 1.0}
            for adapter in plan.adapters
        ]
    draft = plan.draft
    if draft is not None:
        kind = "SIMPLE" if draft.model else "MTP"
        settings |= {
            "speculative.types": [
                {
                    "enum": "common_speculative_type",
                    "name": f"COMMON_SPECULATIVE_TYPE_DRAFT_{kind}",
                }
            ],
            "speculative.draft.n_max": draft.tokens,
            "load_mtp": not draft.model,
        }
    if draft is not None and draft.model:
        settings |= {
            "speculative.draft.mparams.path": draft.model,
            "speculative.draft.n_gpu_layers": ALL_LAYERS if plan.gpu_layers else 0,
        }
    return settings
