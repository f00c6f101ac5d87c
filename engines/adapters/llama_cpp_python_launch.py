"""A plan as llama-cpp-python's own server takes it: what a person would type for the same load."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from modeldeck.engines.adapters.llama_server_launch import threads_for
from modeldeck.engines.types import KvType, Plan, SplitMode

# ``ggml_type`` of ggml.h: the server takes the numbers.
_GGML_TYPES: Final[dict[KvType, int]] = {
    "f32": 0,
    "f16": 1,
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "q8_0": 8,
    "iq4_nl": 20,
    "bf16": 30,
}
# ``llama_split_mode`` of llama.h.
_SPLIT_MODES: Final[dict[SplitMode, int]] = {"none": 0, "layer": 1, "tensor": 3}


def library_server_words(
    python: str, model: Path, plan: Plan, projector: Path | None = None
) -> tuple[str, ...]:
    """The words of ``python -m llama_cpp.server``; empty when it has no option for the plan.

    Its settings know no slots, no experts on the CPU and no whole cache for sliding windows
    (``llama_cpp/server/settings.py``). What it would do by itself and the worker does not, locking
    memory and keeping the logits of every token, is switched off.
    """
    beside = plan.draft is not None or len(plan.adapters) > 1
    if plan.slots != 1 or plan.cpu_moe_blocks or plan.swa_full or beside:
        return ()
    threads, kv_type = str(threads_for(plan)), str(_GGML_TYPES[plan.kv_type])
    words = [
        *(python, "-m", "llama_cpp.server", "--model", str(model)),
        *("--n_ctx", str(plan.context_tokens)),
        *("--n_batch", str(plan.batch_tokens), "--n_ubatch", str(plan.micro_batch_tokens)),
        *("--type_k", kv_type, "--type_v", kv_type),
        *("--flash_attn", str(plan.flash_attention)),
        *("--n_gpu_layers", str(plan.gpu_layers)),
        *("--n_threads", threads, "--n_threads_batch", threads),
        *("--use_mmap", str(plan.mmap), "--use_mlock", "False", "--logits_all", "False"),
    ]
    if plan.gpu_layers == 0:
        words += ["--offload_kqv", "False"]
    elif plan.split is not None:
        words += ["--split_mode", str(_SPLIT_MODES[plan.split.mode])]
        if plan.split.mode == "none":
            words += ["--main_gpu", str(plan.split.card)]
        else:
            words += ["--tensor_split", *map(str, plan.split.shares)]
    for adapter in plan.adapters:
        words += ["--lora_path", adapter]
    if projector is not None:
        words += ["--chat_format", "mtmd", "--clip_model_path", str(projector)]
    return tuple(words)
