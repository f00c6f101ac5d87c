"""The command that does outside the deck what the worker does in it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from modeldeck.engines.adapters.llama_cpp_python import LlamaCppPythonEngine
from modeldeck.engines.adapters.llama_cpp_python_launch import library_server_words
from modeldeck.engines.contract import LaunchCommand
from modeldeck.engines.types import ALL_LAYERS, KvType, Plan

MODEL = Path("/models/a model.gguf")


def test_the_whole_plan_is_in_the_words() -> None:
    plan = Plan(
        context_tokens=16384,
        kv_type="q8_0",
        batch_tokens=1024,
        micro_batch_tokens=256,
        flash_attention=True,
        gpu_layers=ALL_LAYERS,
        threads=3,
        mmap=False,
    )
    assert library_server_words("python", MODEL, plan) == (
        *("python", "-m", "llama_cpp.server", "--model", "/models/a model.gguf"),
        *("--n_ctx", "16384", "--n_batch", "1024", "--n_ubatch", "256"),
        *("--type_k", "8", "--type_v", "8", "--flash_attn", "True", "--n_gpu_layers", "999"),
        *("--n_threads", "3", "--n_threads_batch", "3"),
        *("--use_mmap", "False", "--use_mlock", "False", "--logits_all", "False"),
    )


def test_a_projector_and_a_load_without_the_card_are_said() -> None:
    words = library_server_words("python", MODEL, Plan(gpu_layers=0), Path("/models/mmproj.gguf"))
    assert words[-6:] == (
        *("--offload_kqv", "False"),
        *("--chat_format", "mtmd", "--clip_model_path", "/models/mmproj.gguf"),
    )


@pytest.mark.parametrize("kv_type", get_args(KvType))
def test_every_type_of_cache_has_its_number(kv_type: KvType) -> None:
    words = library_server_words("python", MODEL, Plan(kv_type=kv_type))
    assert words[words.index("--type_k") + 1].isdigit()


@pytest.mark.parametrize("plan", [Plan(slots=2), Plan(cpu_moe_blocks=4), Plan(swa_full=True)])
def test_a_plan_that_the_server_has_no_words_for_has_no_command(plan: Plan) -> None:
    assert library_server_words("python", MODEL, plan) == ()


def test_the_engine_offers_the_command_without_being_installed() -> None:
    assert isinstance(LlamaCppPythonEngine(), LaunchCommand)
