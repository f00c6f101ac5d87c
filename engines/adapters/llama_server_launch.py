"""A plan as llama.cpp takes it: words for a ``llama-server``, attributes for the wheel's server.

The plan is passed whole and llama.cpp's own fitting is off, so that nothing is rewritten.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import psutil

from modeldeck.engines.adapters.llama_server_address import Address
from modeldeck.engines.adapters.llama_server_beside import beside_settings, beside_words
from modeldeck.engines.adapters.llama_server_dialect import MODERN, Dialect
from modeldeck.engines.adapters.llama_server_split import split_settings, split_words
from modeldeck.engines.types import Plan

LOG_LEVEL = 4
_EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"


def threads_for(plan: Plan) -> int:
    """CPU threads: the plan's, else the physical cores we may use but one, which is the deck's."""
    if plan.threads:
        return plan.threads
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    physical = psutil.cpu_count(logical=False) or 1
    return max(1, min(physical, usable or 1) - 1)


def server_words(
    binary: str,
    model: Path,
    plan: Plan,
    address: Address | None,
    dialect: Dialect = MODERN,
    *,
    projector: Path | None = None,
) -> tuple[str, ...]:
    """The command for a ``llama-server``. Without an address: what a person would type."""
    words = [
        *(binary, "-m", str(model)),
        *("-c", str(plan.context_tokens), "-np", str(plan.slots)),
        *("-b", str(plan.batch_tokens), "-ub", str(plan.micro_batch_tokens)),
        *("-ctk", plan.kv_type, "-ctv", plan.kv_type),
        *_flash_attention(plan, dialect),
        *("-ngl", str(plan.gpu_layers)),
        *("-t", str(threads_for(plan))),
    ]
    options: list[tuple[str, ...]] = [
        ("--kv-unified",),
        ("--fit", "off"),
        ("--cache-ram", "0"),
        ("--no-context-shift",),
        ("--jinja",),
    ]
    if plan.gpu_layers == 0:
        # A CUDA build with no layer on the card still uses it for large batches.
        options.append(("--device", "none"))
    if address is not None:
        options += [("--metrics",), ("--slots",), ("--no-webui",), ("--offline",)]
    for option in options:
        if dialect.knows(option[0]):
            words += option
    words += beside_words(plan, dialect, projector)
    words += split_words(plan)
    if plan.cpu_moe_blocks:
        words += _experts(plan.cpu_moe_blocks, dialect)
    if plan.swa_full and dialect.knows("--swa-full"):
        words.append("--swa-full")
    if not plan.mmap:
        words += ["--load-mode", "none"] if dialect.knows("--load-mode") else ["--no-mmap"]
    if address is not None:
        words += ["--host", address.host]
        if address.socket is None:
            words += ["--port", str(address.port)]
        if dialect.verbosity_has_levels:
            words += ["-lv", str(LOG_LEVEL)]
    return tuple(words)


def _flash_attention(plan: Plan, dialect: Dialect) -> tuple[str, ...]:
    if dialect.flash_attention_takes_value:
        return ("-fa", "on" if plan.flash_attention else "off")
    return ("-fa",) if plan.flash_attention else ()


def _experts(blocks: int, dialect: Dialect) -> tuple[str, ...]:
    if dialect.knows("--n-cpu-moe"):
        return ("--n-cpu-moe", str(blocks))
    return ("--override-tensor", _experts_on_cpu(blocks))


def _experts_on_cpu(blocks: int) -> str:
    """What ``--n-cpu-moe`` stands for, as a tensor override."""
    return rf"blk\.({'|'.join(str(block) for block in range(blocks))}){_EXPERTS}"


def wheel_settings(
    model: Path, plan: Plan, address: Address, api_key: str, *, projector: Path | None = None
) -> Mapping[str, object]:
    """The same plan as attributes of ``xllamacpp.CommonParams``, for the worker's input."""
    threads = threads_for(plan)
    kv_type = {"enum": "ggml_type", "name": f"GGML_TYPE_{plan.kv_type.upper()}"}
    flash = "ENABLED" if plan.flash_attention else "DISABLED"
    settings: dict[str, object] = {
        "model.path": str(model),
        "hostnames": [address.host],
        "port": address.port,
        "api_keys": [api_key],
        "n_ctx": plan.context_tokens,
        "n_parallel": plan.slots,
        "kv_unified": True,
        "n_batch": plan.batch_tokens,
        "n_ubatch": plan.micro_batch_tokens,
        "cache_type_k": kv_type,
        "cache_type_v": kv_type,
        "flash_attn_type": {
            "enum": "llama_flash_attn_type",
            "name": f"LLAMA_FLASH_ATTN_TYPE_{flash}",
        },
        "n_gpu_layers": plan.gpu_layers,
        "cpuparams.n_threads": threads,
        "cpuparams_batch.n_threads": threads,
        "load_mode": {
            "enum": "llama_load_mode",
            "name": "LLAMA_LOAD_MODE_MMAP" if plan.mmap else "LLAMA_LOAD_MODE_NONE",
        },
        "fit_params": False,
        "cache_ram_mib": 0,
        "ctx_shift": False,
        "swa_full": plan.swa_full,
        "use_jinja": True,
        "endpoint_metrics": True,
        "endpoint_slots": True,
        "ui": False,
        "offline": True,
        "verbosity": LOG_LEVEL,
    }
    if plan.gpu_layers == 0:
        settings |= {"no_op_offload": True, "no_kv_offload": True}
    settings |= beside_settings(plan, projector)
    settings |= split_settings(plan)
    if plan.cpu_moe_blocks:
        settings["tensor_buft_overrides"] = _experts_on_cpu(plan.cpu_moe_blocks)
    return settings
