"""A plan as llama.cpp takes it: words for a ``llama-server``, attributes for the wheel's server.

The plan is passed whole and llama.cpp's own fitting is off, so that nothing is rewritten.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from modeldeck.engines.types import Plan

LOG_LEVEL = 4
_EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens: a Unix socket, or a loopback port when there can be none.

    Attributes:
        socket: path of the socket, or None.
        port: loopback port; unused with a socket.
    """

    socket: Path | None
    port: int = 0

    @property
    def host(self) -> str:
        """The value of ``--host``: llama.cpp takes a path that ends in ``.sock`` as a socket."""
        return str(self.socket) if self.socket else "127.0.0.1"


def threads_for(plan: Plan) -> int:
    """CPU threads: the plan's, else the physical cores we may use but one, which is the deck's."""
    if plan.threads:
        return plan.threads
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    physical = psutil.cpu_count(logical=False) or 1
    return max(1, min(physical, usable or 1) - 1)


def server_words(binary: str, model: Path, plan: Plan, address: Address | None) -> tuple[str, ...]:
    """The command for a ``llama-server``. Without an address: what a person would type."""
    words = [
        *(binary, "-m", str(model)),
        *("-c", str(plan.context_tokens), "-np", str(plan.slots), "-kvu"),
        *("-b", str(plan.batch_tokens), "-ub", str(plan.micro_batch_tokens)),
        *("-ctk", plan.kv_type, "-ctv", plan.kv_type),
        *("-fa", "on" if plan.flash_attention else "off"),
        *("-ngl", str(plan.gpu_layers)),
        *("-t", str(threads_for(plan))),
        *("--fit", "off", "--cache-ram", "0", "--no-context-shift", "--jinja"),
    ]
    if plan.cpu_moe_blocks:
        words += ["--n-cpu-moe", str(plan.cpu_moe_blocks)]
    if not plan.mmap:
        words += ["--no-mmap"]
    if address is not None:
        words += ["--host", address.host]
        if address.socket is None:
            words += ["--port", str(address.port)]
        words += ["--metrics", "--no-webui", "--offline", "-lv", str(LOG_LEVEL)]
    return tuple(words)


def wheel_settings(model: Path, plan: Plan, address: Address, api_key: str) -> Mapping[str, object]:
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
        "use_jinja": True,
        "endpoint_metrics": True,
        "endpoint_slots": True,
        "ui": False,
        "offline": True,
        "verbosity": LOG_LEVEL,
    }
    if plan.cpu_moe_blocks:
        blocks = "|".join(str(block) for block in range(plan.cpu_moe_blocks))
        settings["tensor_buft_overrides"] = rf"blk\.({blocks}){_EXPERTS}"
    return settings
