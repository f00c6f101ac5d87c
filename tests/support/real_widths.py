"""Keys of real models of every kind, at their true widths with a few of their blocks.

Compute buffers follow the widths and not the number of blocks, so that a model of 30 GB is held
against llama.cpp in a second. Figures are those of each model's published ``config.json``.
"""

from __future__ import annotations

from typing import Final

from tests.support.llama_keys import LAYERS, keys_of
from tests.support.llama_lab import Key

REAL: Final[dict[str, tuple[str, dict[str, int]]]] = {
    "gemma-2-9b": (
        "gemma2",
        {"width": 3584, "wide": 14336, "heads": 16, "kv": 8, "head": 256, "window": 4096},
    ),
    "gemma-4-12b": (
        "gemma4",
        {"width": 3840, "wide": 15360, "heads": 16, "kv": 8, "head": 512, "slid": 256}
        | {"window": 1024},
    ),
    "gemma-3n-E4B": (
        "gemma3n",
        {"width": 2048, "wide": 16384, "heads": 8, "kv": 2, "head": 256},
    ),
    "gpt-oss-20b": (
        "gpt-oss",
        {"width": 2880, "wide": 2880, "heads": 64, "kv": 8, "head": 64, "window": 128}
        | {"experts": 32, "used": 4, "expert": 2880},
    ),
    "Qwen3-30B-A3B": (
        "qwen3moe",
        {"width": 2048, "wide": 6144, "heads": 32, "kv": 4, "head": 128}
        | {"experts": 128, "used": 8, "expert": 768},
    ),
    "Qwen3.5-27B": (
        "qwen35",
        {"width": 5120, "wide": 17408, "heads": 24, "kv": 4, "head": 256}
        | {"inner": 6144, "state": 128, "groups": 16, "rank": 48},
    ),
    "DeepSeek-V2-Lite": (
        "deepseek2",
        {"width": 2048, "wide": 10944, "heads": 16, "experts": 64, "used": 6, "expert": 1408},
    ),
    "Codestral-Mamba-7B": (
        "mamba2",
        {"width": 4096, "inner": 8192, "state": 128, "groups": 8, "rank": 128, "heads": 32},
    ),
    "Falcon-H1-7B": (
        "falcon-h1",
        {"width": 3072, "wide": 12288, "heads": 12, "kv": 2, "head": 128}
        | {"inner": 3072, "state": 256, "groups": 1, "rank": 24},
    ),
    "Granite-4.0-H-Tiny": (
        "granitehybrid",
        {"width": 1536, "wide": 512, "heads": 12, "kv": 4, "inner": 3072, "state": 128}
        | {"groups": 1, "rank": 48, "experts": 64, "used": 6, "expert": 512},
    ),
}
"""Architecture and widths by name."""

_KEYS: Final = {
    "width": ("embedding_length",),
    "wide": ("feed_forward_length",),
    "heads": ("attention.head_count",),
    "kv": ("attention.head_count_kv",),
    "head": ("attention.key_length", "attention.value_length"),
    "slid": ("attention.key_length_swa", "attention.value_length_swa"),
    "window": ("attention.sliding_window",),
    "experts": ("expert_count",),
    "used": ("expert_used_count",),
    "expert": ("expert_feed_forward_length",),
    "inner": ("ssm.inner_size",),
    "state": ("ssm.state_size",),
    "groups": ("ssm.group_count",),
    "rank": ("ssm.time_step_rank",),
}


def real_keys(model: str) -> dict[str, Key]:
    """Every key that llama.cpp may ask for of that model."""
    name, widths = REAL[model]
    keys = keys_of(name, tokens=64000)
    for fact, value in widths.items():
        for key in _KEYS[fact]:
            keys[f"{name}.{key}"] = value
    if isinstance(keys_of(name)[f"{name}.attention.head_count_kv"], list):
        keys[f"{name}.attention.head_count_kv"] = [
            0 if at % 2 else widths["kv"] for at in range(LAYERS)
        ]
    return keys
