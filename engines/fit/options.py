"""What the user asked for of a verdict: what is given is kept, what is not is planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.fit.terms import MARGIN_BYTES
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import KvType, ModelFormat

DEFAULT_ENGINE: Final = "llama_server"

GGUF_ENGINES: Final = frozenset({"llama_server", "llama_cpp_python", "ollama"})
"""Engines that are llama.cpp inside: they load a GGUF, and one bill holds for all of them."""

KNOWN_ENGINES: Final = (
    *("llama_server", "llama_cpp_python", "ollama", "exllamav2", "exllamav3"),
    *("vllm", "sglang", "transformers"),
)
"""Engines that a verdict can be asked for, by their adapters' names."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Options of a verdict; None leaves one to the plan.

    Attributes:
        context_tokens: total over all slots.
        kv_type: type of both K and V cache.
        micro_batch_tokens: physical batch.
        slots: sequences in one unified cache.
        gpu_layers: as llama.cpp counts: k blocks and the output layer are ``k + 1``.
        cpu_moe_blocks: the first blocks, whose experts stay on the CPU.
        flash_attention: on or off.
        swa_full: sliding-window layers cache the whole context.
        engine: adapter name of the engine that would run it.
        margin_bytes: to be kept free on the GPU.
    """

    context_tokens: int | None = None
    kv_type: KvType | None = None
    micro_batch_tokens: int | None = None
    slots: int | None = None
    gpu_layers: int | None = None
    cpu_moe_blocks: int | None = None
    flash_attention: bool | None = None
    swa_full: bool | None = None
    engine: str | None = None
    margin_bytes: int = MARGIN_BYTES


def engine_name(text: str) -> str:
    """The adapter's name for what was typed; ``-`` and ``_`` are the same.

    Raises:
        SettingsError: no verdict is known for such an engine.
    """
    name = text.strip().lower().replace("-", "_")
    if name not in KNOWN_ENGINES:
        raise SettingsError(
            f"There is no engine called “{clean_line(text, 40)}”.",
            f"Name one of {', '.join(KNOWN_ENGINES)}.",
        )
    return name


def cannot_load(engine: str, model_format: ModelFormat) -> str:
    """Why ``engine`` cannot load a file of this format, as a clause; empty when it can."""
    if model_format is ModelFormat.GGUF and engine not in GGUF_ENGINES:
        return f"{engine} loads no GGUF file; llama_server, llama_cpp_python and ollama do"
    return ""
