"""A plan for ExLlama as the ``config.yml`` of TabbyAPI, the server that runs it.

Source: ``config_sample.yml`` of theroyallab/tabbyAPI.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from modeldeck.engines.types import KvType, Plan

_CHUNK_TOKENS: Final = 2048
_PAGE_TOKENS: Final = 256
_CACHES: Final[Mapping[str, Mapping[KvType, str]]] = {
    "exllamav2": {"f16": "FP16", "q8_0": "Q8", "q4_0": "Q4"},
    "exllamav3": {"f16": "FP16", "q8_0": "8,8", "q5_0": "5,5", "q4_0": "4,4"},
}


def tabby_lines(engine: str, model: str, plan: Plan) -> tuple[str, ...]:
    """The lines of the file, every number of the plan spelled out; none for another engine.

    Args:
        engine: ``exllamav2`` or ``exllamav3``.
        model: its folder, or ``hf:repo``, which is looked for in TabbyAPI's own ``models``.
        plan: the whole plan, with a cache that the engine has.
    """
    cache = _CACHES.get(engine, {}).get(plan.kv_type)
    return tuple(_lines(engine, model, plan, cache)) if cache is not None else ()


def _lines(engine: str, model: str, plan: Plan, cache: str) -> Iterator[str]:
    place = PurePosixPath(model.removeprefix("hf:").partition("@")[0])
    folder = "models" if model.startswith("hf:") else str(place.parent)
    cells = -(-plan.context_tokens // _PAGE_TOKENS) * _PAGE_TOKENS
    shared = plan.split is not None and plan.split.mode == "tensor"
    values = {
        "model_dir": json.dumps(folder),
        "model_name": json.dumps(place.name),
        "backend": engine,
        "max_seq_len": plan.context_tokens // plan.slots,
        "cache_size": cells,
        "cache_mode": cache,
        "chunk_size": _CHUNK_TOKENS,
        "max_batch_size": plan.slots,
        "tensor_parallel": str(shared).lower(),
    }
    yield "model:"
    for key, value in values.items():
        yield f"  {key}: {value}"
