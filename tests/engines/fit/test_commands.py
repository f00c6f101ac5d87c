"""A plan in the words of each engine, to type or to put into its file."""

from __future__ import annotations

import json
import shlex

import pytest

from modeldeck.engines.fit.commands import command_lines, engine_command
from modeldeck.engines.types import Draft, KvType, Plan, Split


def test_ollama_gets_its_options_as_json_and_its_service_by_environment() -> None:
    plan = Plan(context_tokens=8192, slots=2, gpu_layers=33)

    (text,) = command_lines("ollama", "ollama:qwen3:8b", plan)

    assert "OLLAMA_NUM_PARALLEL=2" in text
    options = json.loads(text.split("options: ")[1])
    assert options == {"num_ctx": 4096, "num_batch": 512, "num_gpu": 33}


def test_an_adapter_needs_a_modelfile_because_no_option_names_one() -> None:
    plan = Plan(context_tokens=4096, adapters=("/a/style.gguf",))

    lines = command_lines("ollama", "ollama:qwen3:8b", plan)

    assert lines[1:4] == ("Modelfile:", "FROM qwen3:8b", "ADAPTER /a/style.gguf")
    assert "PARAMETER num_ctx 4096" in lines


@pytest.mark.parametrize(
    ("engine", "kv_type", "mode"),
    [
        ("exllamav2", "f16", "FP16"),
        ("exllamav2", "q4_0", "Q4"),
        ("exllamav3", "q8_0", "8,8"),
        ("exllamav3", "q5_0", "5,5"),
    ],
)
def test_exllama_gets_the_file_of_its_server(engine: str, kv_type: KvType, mode: str) -> None:
    plan = Plan(context_tokens=8000, slots=2, kv_type=kv_type)

    head, *lines = command_lines(engine, "/models/some-exl", plan)

    assert head == "TabbyAPI's config.yml:"
    values = dict(line.strip().split(": ") for line in lines[1:])
    assert values["model_dir"] == '"/models"'
    assert values["model_name"] == '"some-exl"'
    assert values["backend"] == engine
    assert values["cache_mode"] == mode
    assert (values["max_seq_len"], values["cache_size"]) == ("4000", "8192")
    assert values["tensor_parallel"] == "false"


def test_exllama_is_told_to_split_tensors_over_cards() -> None:
    plan = Plan(context_tokens=8192, split=Split("tensor", (1, 1)))

    assert "  tensor_parallel: true" in command_lines("exllamav3", "hf:owner/name", plan)


def test_a_cache_that_exllama_does_not_have_has_no_file() -> None:
    assert command_lines("exllamav2", "/models/some-exl", Plan(kv_type="q5_1")) == ()


def test_a_name_that_yaml_would_take_for_something_else_is_quoted() -> None:
    lines = command_lines("exllamav3", "/models/4.0: {bpw}", Plan())

    assert '  model_name: "4.0: {bpw}"' in lines


def test_one_slot_leaves_the_number_of_requests_to_vllm_and_sglang() -> None:
    one, two = Plan(context_tokens=8192), Plan(context_tokens=8192, slots=2)

    assert "--max-num-seqs" not in engine_command("vllm", "hf:owner/name", one)
    assert "--max-num-seqs" in engine_command("vllm", "hf:owner/name", two)
    assert "--max-running-requests" not in engine_command("sglang", "hf:owner/name", one)
    assert "--max-running-requests" in engine_command("sglang", "hf:owner/name", two)


def test_the_python_program_compiles_and_holds_the_plan() -> None:
    plan = Plan(context_tokens=8192, gpu_layers=33, mmap=False)

    (line,) = command_lines("llama_cpp_python", "/m'odel.gguf", plan)

    program = shlex.split(line)[2]
    compile(program, "command", "exec")
    assert "n_gpu_layers=33" in program
    assert "use_mmap=False" in program


@pytest.mark.parametrize(
    "plan",
    [
        Plan(slots=2),
        Plan(cpu_moe_blocks=3),
        Plan(draft=Draft("/draft.gguf")),
        Plan(adapters=("/a", "/b")),
    ],
    ids=["slots", "experts", "draft", "adapters"],
)
def test_there_is_no_python_program_for_what_its_class_has_no_argument_for(plan: Plan) -> None:
    assert command_lines("llama_cpp_python", "/model.gguf", plan) == ()
