"""What the user asked for of a verdict: what is given is kept, what is not is planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.fit.terms import MARGIN_BYTES
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Draft, KvType, ModelFormat, Plan, Split

_F: Final = ModelFormat
_FOLDERS: Final = frozenset({_F.SAFETENSORS, _F.GPTQ, _F.AWQ, _F.FP8, _F.COMPRESSED_TENSORS})

ENGINE_FORMATS: Final[Mapping[str, frozenset[ModelFormat]]] = {
    "llama_server": frozenset({_F.GGUF, _F.LLAMAFILE}),
    "llama_cpp_python": frozenset({_F.GGUF, _F.LLAMAFILE}),
    "ollama": frozenset({_F.GGUF}),
    "exllamav3": frozenset({_F.EXL3, _F.GPTQ}),
    "exllamav2": frozenset({_F.EXL2, _F.GPTQ}),
    "vllm": _FOLDERS | {_F.NVFP4, _F.BITSANDBYTES, _F.AUTOROUND},
    "sglang": _FOLDERS | {_F.NVFP4},
    "transformers": _FOLDERS | {_F.BITSANDBYTES, _F.AUTOROUND, _F.NEURAL_COMPRESSOR, _F.PICKLE},
}
"""What each engine that a verdict can be asked for loads, by its adapter's name."""


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
        draft: what guesses tokens ahead; None: nothing does, which is never planned otherwise.
        adapters: files of LoRA adapters to apply.
        split: over several cards.
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
    draft: Draft | None = None
    adapters: tuple[str, ...] = ()
    split: Split | None = None

    @classmethod
    def of(cls, plan: Plan) -> FitOptions:
        """Options that leave nothing of ``plan`` to be planned."""
        return cls(
            context_tokens=plan.context_tokens,
            kv_type=plan.kv_type,
            micro_batch_tokens=plan.micro_batch_tokens,
            slots=plan.slots,
            gpu_layers=plan.gpu_layers,
            cpu_moe_blocks=plan.cpu_moe_blocks,
            flash_attention=plan.flash_attention,
            swa_full=plan.swa_full,
            draft=plan.draft,
            adapters=plan.adapters,
            split=plan.split,
        )

    def over(self, plan: Plan) -> Plan:
        """``plan`` with what is given."""
        micro_batch_tokens = _given(self.micro_batch_tokens, plan.micro_batch_tokens)
        return plan._replace(
            context_tokens=_given(self.context_tokens, plan.context_tokens),
            kv_type=_given(self.kv_type, plan.kv_type),
            micro_batch_tokens=micro_batch_tokens,
            batch_tokens=max(micro_batch_tokens, plan.batch_tokens),
            slots=_given(self.slots, plan.slots),
            gpu_layers=_given(self.gpu_layers, plan.gpu_layers),
            cpu_moe_blocks=_given(self.cpu_moe_blocks, plan.cpu_moe_blocks),
            flash_attention=_given(self.flash_attention, plan.flash_attention),
            swa_full=_given(self.swa_full, plan.swa_full),
            draft=self.draft,
            adapters=self.adapters,
            split=_given(self.split, plan.split),
        )


_T = TypeVar("_T")


def _given(value: _T | None, planned: _T) -> _T:
    return planned if value is None else value


def engine_name(text: str) -> str:
    """The adapter's name for what was typed; ``-`` and ``_`` are the same.

    Raises:
        SettingsError: no verdict is known for such an engine.
    """
    name = text.strip().lower().replace("-", "_")
    if name not in ENGINE_FORMATS:
        raise SettingsError(
            f"There is no engine called “{clean_line(text, 40)}”.",
            f"Name one of {', '.join(ENGINE_FORMATS)}.",
        )
    return name


def usual_engine(model_format: ModelFormat) -> str:
    """The engine a format is judged for when nobody names one; empty when none loads it."""
    if model_format in (_F.SAFETENSORS, _F.BITSANDBYTES, _F.AUTOROUND):
        return "transformers"
    first = {_F.GPTQ: "exllamav2"}.get(model_format, "")
    able = (name for name, formats in ENGINE_FORMATS.items() if model_format in formats)
    return first or next(able, "")


def cannot_load(engine: str, model_format: ModelFormat) -> str:
    """Why ``engine`` cannot load a file of this format, as a clause; empty when it can."""
    if model_format in ENGINE_FORMATS.get(engine, frozenset()):
        return ""
    able = ", ".join(name for name, formats in ENGINE_FORMATS.items() if model_format in formats)
    who = f"{engine} does not load {model_format.value}" if engine else "no engine here loads it"
    return f"{who}; {able or 'no known engine'} would"
