"""Keys of a real model of every architecture, at its true widths with a few of its blocks.

Compute buffers follow the widths and not the number of blocks, so that a model of 30 GB is held
against llama.cpp in a second. ``widths.toml`` has the figures.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from tests.support.llama_keys import LAYERS, keys_of
from tests.support.llama_lab import Key

WIDTHS: Final[dict[str, dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("widths.toml").read_text(encoding="utf-8")
)
"""By architecture."""

_KEYS: Final = {
    "width": ("embedding_length",),
    "wide": ("feed_forward_length",),
    "heads": ("attention.head_count",),
    "kv": ("attention.head_count_kv",),
    "head": ("attention.key_length", "attention.value_length"),
    "slid": ("attention.key_length_swa", "attention.value_length_swa"),
    "window": ("attention.sliding_window",),
    "query": ("attention.q_lora_rank",),
    "indexers": ("attention.indexer.head_count",),
    "experts": ("expert_count",),
    "used": ("expert_used_count",),
    "expert": ("expert_feed_forward_length",),
    "shared": ("expert_shared_feed_forward_length",),
    "inner": ("ssm.inner_size",),
    "state": ("ssm.state_size",),
    "groups": ("ssm.group_count",),
    "rank": ("ssm.time_step_rank",),
}


def real_keys(name: str) -> dict[str, Key]:
    """Every key that llama.cpp may ask for of that architecture's model."""
    widths = {key: value for key, value in WIDTHS[name].items() if key in _KEYS}
    keys = keys_of(name, tokens=64000)
    made_up = dict(keys)
    for fact, value in widths.items():
        for key in _KEYS[fact]:
            keys[f"{name}.{key}"] = value
    if "head" in widths and "slid" not in widths and f"{name}.attention.key_length_swa" in made_up:
        keys |= {f"{name}.{key}": widths["head"] for key in _KEYS["slid"]}
    heads = widths.get("heads", made_up[f"{name}.attention.head_count"])
    kv = made_up[f"{name}.attention.head_count_kv"]
    if isinstance(kv, list):
        some = widths.get("kv", 1 if name.startswith(("kimi", "bailing")) else heads // 4)
        keys[f"{name}.attention.head_count_kv"] = [some if count else 0 for count in kv]
    if name.startswith("nemotron_h"):
        wide = 21504 if name == "nemotron_h" else widths["expert"]
        keys[f"{name}.feed_forward_length"] = [0, 0, wide, 0, 0, wide]
    if name == "minimax-m3":
        keys[f"{name}.attention.indexer.head_count"] = widths["kv"]
    head = widths.get("head", widths["width"] // max(heads, 1))
    keys[f"{name}.rope.dimension_sections"] = [head // 4] * 4
    return keys


__all__ = ["LAYERS", "WIDTHS", "real_keys"]
