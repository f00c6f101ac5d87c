"""How the programs that run llama.cpp differ in what they ask of it."""

from __future__ import annotations

from typing import Final, NamedTuple

from modeldeck.engines.units import MIB


class EngineProfile(NamedTuple):
    """Defaults and habits that change a bill.

    Attributes:
        name: of the engine's adapter.
        outputs_follow_batch: logits are kept for every token of a micro-batch, not one per slot.
        slots: sequences, when nobody says.
        swa_full: windows cache the whole context, when nobody says.
        unified: the slots share one cache; else each has its own part of the context.
        mask_bytes: of one element of the attention mask with flash attention.
        value_indices: without flash attention every number of V has an index (since mid-2025).
        context_overhead_bytes: CUDA's own context and modules, and what the program adds;
            ± 100 MiB.
    """

    name: str
    outputs_follow_batch: bool = False
    slots: int = 1
    swa_full: bool = False
    unified: bool = True
    mask_bytes: int = 2
    value_indices: bool = True
    context_overhead_bytes: int = 250 * MIB


LLAMA_SERVER: Final = EngineProfile("llama_server")
"""``llama-server``: as many outputs as slots (``server-context.cpp``)."""

LLAMA_CPP_PYTHON: Final = EngineProfile(
    "llama_cpp_python", outputs_follow_batch=True, swa_full=True
)
"""The C interface's own defaults (``llama_context_default_params``)."""

OLLAMA: Final = EngineProfile("ollama", unified=False, context_overhead_bytes=457 * MIB)
"""Ollama starts ``llama-server`` and keeps 457 MiB of each GPU free of it."""

PROFILES: Final = {
    profile.name: profile
    for profile in (
        LLAMA_SERVER,
        LLAMA_CPP_PYTHON,
        OLLAMA,
        EngineProfile("xllamacpp"),
    )
}
