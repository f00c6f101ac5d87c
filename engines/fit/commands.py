"""A plan as the command, or the options, of the engine that is to run it: made to be copied.

Every number of the plan is spelled out, and llama.cpp's own fitting is off, so that what starts is
what was judged. How many CPU threads to use is the machine's matter and is left to the engine.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from modeldeck.engines.fit.paged import SGLANG, VLLM
from modeldeck.engines.fit.tabby import tabby_lines
from modeldeck.engines.types import ALL_LAYERS, Plan

_COUNTED: Final = ("env", "CUDA_DEVICE_ORDER=PCI_BUS_ID")
"""Cards are counted as NVML counts them; CUDA's own order begins with the fastest."""

_HUB: Final = "https://huggingface.co"


def engine_command(engine: str, model: str, plan: Plan) -> tuple[str, ...]:
    """The words that start ``model`` with ``plan`` in ``engine``; empty when there are none.

    Args:
        engine: the adapter's name.
        model: a path; ``hf:repo[@revision][:file]`` and ``ollama:name:tag`` as targets are written.
        plan: the whole plan.
    """
    match engine:
        case "llama_server" | "llama_cpp_python" if model.lower().endswith(".llamafile"):
            return ()  # a program of its own: it brings its llama.cpp along
        case "llama_server":
            words = llama_server_command(model, plan)
            return (*_COUNTED, *words) if plan.split is not None and plan.gpu_layers else words
        case "llama_cpp_python":
            program = _python_program(model, plan)
            return ("python", "-c", program) if program else ()
        case "vllm":
            return (*_one_card(plan), "vllm", "serve", *_repository(model), *_vllm_words(plan))
        case "sglang":
            words = ("python", "-m", "sglang.launch_server", "--model-path", *_repository(model))
            words = (*words, *_sglang_words(plan))
            return (*_one_card(plan), *words, *_parallel("--tp-size", plan))
        case _:
            return ()


def command_lines(engine: str, model: str, plan: Plan) -> tuple[str, ...]:
    """What to type, or to put into a file, for a plan in ``engine``; none for an unknown one."""
    if engine == "ollama":
        return (ollama_text(plan), *modelfile_lines(model, plan))
    if lines := tabby_lines(engine, model, plan):
        return ("TabbyAPI's config.yml:", *lines)
    words = engine_command(engine, model, plan)
    return (shlex.join(words),) if words else ()


def llama_server_command(model: str, plan: Plan) -> tuple[str, ...]:
    """The ``llama-server`` line for a plan (``common/arg.cpp`` names the options)."""
    words = [
        *("llama-server", *_llama_model(model)),
        *("-c", str(plan.context_tokens), "-np", str(plan.slots)),
        *("-b", str(plan.batch_tokens), "-ub", str(plan.micro_batch_tokens)),
        *("-ctk", plan.kv_type, "-ctv", plan.kv_type),
        *("-fa", "on" if plan.flash_attention else "off"),
        *("-ngl", str(plan.gpu_layers)),
        *("--kv-unified", "--fit", "off"),
        *("--cache-ram", "0", "--no-context-shift", "--jinja"),
    ]
    if plan.gpu_layers == 0:
        words += ["--device", "none"]
    words += _split_words(plan)
    if plan.cpu_moe_blocks:
        words += ["--n-cpu-moe", str(plan.cpu_moe_blocks)]
    if plan.swa_full:
        words.append("--swa-full")
    if not plan.mmap:
        words += ["--load-mode", "none"]
    return (*words, *_beside_words(plan))


def _split_words(plan: Plan) -> Iterator[str]:
    """One card of several, or what each gets; the cards are those of PCI's order."""
    split = plan.split
    if split is None or not plan.gpu_layers:
        return
    yield from ("--split-mode", split.mode)
    if split.mode == "none":
        yield from ("--main-gpu", str(split.card))
    else:
        yield from ("--tensor-split", ",".join(map(str, split.shares)))


def _beside_words(plan: Plan) -> Iterator[str]:
    """Adapters, and what drafts."""
    for adapter in plan.adapters:
        yield from ("--lora", adapter)
    draft = plan.draft
    if draft is None:
        return
    yield from ("--spec-type", "draft-simple" if draft.model else "draft-mtp")
    yield from ("--spec-draft-n-max", str(draft.tokens))
    if draft.model:
        yield from _draft_model(draft.model)
        yield from ("-ngld", str(ALL_LAYERS if plan.gpu_layers else 0))
    if plan.gpu_layers == 0:
        yield from ("-devd", "none")
    yield from ("-ctkd", "f16", "-ctvd", "f16")


def _draft_model(model: str) -> tuple[str, ...]:
    """The Hub is named by repository and quantisation; a single file must be here."""
    place, _, file = model.removeprefix("hf:").partition(":")
    if not model.startswith("hf:") or file.lower().endswith(".gguf"):
        return ("-md", file if model.startswith("hf:") else model)
    return ("-hfd", f"{place}:{file}" if file else place)


def ollama_options(plan: Plan) -> Mapping[str, int]:
    """The ``options`` of an Ollama request (its ``api.Runner``).

    The type of the cache and flash attention are the server's, set by ``ollama_environment``; the
    places of experts cannot be set.
    """
    return {
        "num_ctx": plan.context_tokens // plan.slots,
        "num_batch": plan.micro_batch_tokens,
        "num_gpu": plan.gpu_layers,
    }


def ollama_environment(plan: Plan) -> Mapping[str, str]:
    """What ``ollama serve`` must be started with for a plan (its ``envconfig``)."""
    return {
        "OLLAMA_NUM_PARALLEL": str(plan.slots),
        "OLLAMA_FLASH_ATTENTION": str(int(plan.flash_attention)),
        "OLLAMA_KV_CACHE_TYPE": plan.kv_type,
    }


def ollama_text(plan: Plan) -> str:
    """Environment and options of Ollama as one line."""
    environment = " ".join(f"{key}={value}" for key, value in ollama_environment(plan).items())
    return f"{environment} ollama serve; options: {json.dumps(dict(ollama_options(plan)))}"


def modelfile_lines(model: str, plan: Plan) -> tuple[str, ...]:
    """A Modelfile, which adapters need: an option cannot name them; none without adapters."""
    if not plan.adapters:
        return ()
    values = (f"PARAMETER {key} {value}" for key, value in ollama_options(plan).items())
    origin = f"FROM {model.removeprefix('ollama:')}"
    return ("Modelfile:", origin, *(f"ADAPTER {one}" for one in plan.adapters), *values)


def _llama_model(model: str) -> tuple[str, ...]:
    if model.startswith("hf:"):
        place, _, file = model.removeprefix("hf:").partition(":")
        repository, _, revision = place.partition("@")
        if revision and file:
            return ("-mu", f"{_HUB}/{repository}/resolve/{revision}/{file}")
        if file.lower().endswith(".gguf"):
            return ("-hfr", repository, "-hff", file)
        return ("-hf", f"{repository}:{file}" if file else repository)
    if model.startswith(("https://", "http://")):
        return ("-mu", model)
    return ("-m", model)


def _repository(model: str) -> tuple[str, ...]:
    if not model.startswith("hf:"):
        return (model,)
    name, _, revision = model.removeprefix("hf:").partition(":")[0].partition("@")
    return (name, "--revision", revision) if revision else (name,)


def _vllm_words(plan: Plan) -> tuple[str, ...]:
    """The share of the card that the verdict is for; one slot leaves their number to the engine."""
    words = [
        *("--max-model-len", str(plan.context_tokens // plan.slots)),
        *(("--max-num-seqs", str(plan.slots)) if plan.slots > 1 else ()),
        *("--max-num-batched-tokens", str(plan.batch_tokens)),
        *("--gpu-memory-utilization", str(VLLM.share)),
    ]
    return (*words, *_parallel("--tensor-parallel-size", plan))


def _sglang_words(plan: Plan) -> tuple[str, ...]:
    return (
        *("--context-length", str(plan.context_tokens // plan.slots)),
        *(("--max-running-requests", str(plan.slots)) if plan.slots > 1 else ()),
        *("--mem-fraction-static", str(SGLANG.share)),
    )


def _one_card(plan: Plan) -> tuple[str, ...]:
    """What lets a program see one card of several."""
    if plan.split is None or plan.split.mode != "none":
        return ()
    return (*_COUNTED, f"CUDA_VISIBLE_DEVICES={plan.split.number}")


def _parallel(option: str, plan: Plan) -> tuple[str, ...]:
    """Over how many cards tensors are split; nothing for one."""
    split = plan.split
    if split is None or split.mode != "tensor":
        return ()
    return (option, str(len(split.shares)))


def _python_program(model: str, plan: Plan) -> str:
    """``llama_cpp.Llama`` with the same plan; empty where it has no argument for a part of it."""
    if plan.slots != 1 or plan.cpu_moe_blocks or plan.draft or len(plan.adapters) > 1:
        return ""
    kv_type = f"llama_cpp.GGML_TYPE_{plan.kv_type.upper()}"
    arguments = ", ".join(
        (
            f"model_path={model!r}",
            f"n_gpu_layers={plan.gpu_layers}",
            f"n_ctx={plan.context_tokens}",
            f"n_batch={plan.batch_tokens}",
            f"n_ubatch={plan.micro_batch_tokens}",
            f"type_k={kv_type}",
            f"type_v={kv_type}",
            f"flash_attn={plan.flash_attention}",
            f"swa_full={plan.swa_full}",
            *(["use_mmap=False"] if not plan.mmap else []),
            *(["offload_kqv=False"] if not plan.gpu_layers else []),
            *_python_split(plan),
            *(f"lora_path={adapter!r}" for adapter in plan.adapters[:1]),
        )
    )
    return f"import llama_cpp; llama_cpp.Llama({arguments})"


def _python_split(plan: Plan) -> Iterator[str]:
    split = plan.split
    if split is None or not plan.gpu_layers:
        return
    yield f"split_mode=llama_cpp.LLAMA_SPLIT_MODE_{split.mode.upper()}"
    if split.mode == "none":
        yield f"main_gpu={split.card}"
    else:
        yield f"tensor_split={list(split.shares)}"
