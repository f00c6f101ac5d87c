"""Programs on a card by the names people know, and nothing of their secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.hardware.program_names import is_forked_python, program_name

PYTHON = "/opt/venv/bin/python3"


@pytest.mark.parametrize(
    ("words", "folder", "name"),
    [
        ([PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--api-key", "x"], "", "vLLM"),
        ([PYTHON, "/opt/venv/bin/vllm", "serve", "Qwen/Qwen3-8B"], "", "vLLM"),
        (["VLLM::EngineCore_0"], "", "vLLM"),
        (["VLLM::EngineCore", "", "", ""], "", "vLLM"),
        (["sglang::scheduler_TP0"], "", "SGLang"),
        ([PYTHON, "-m", "sglang.launch_server"], "", "SGLang"),
        (["/usr/local/bin/ollama", "serve"], "", "Ollama"),
        (["/usr/local/bin/ollama", "runner", "--model", "/m/sha256-1"], "", "Ollama runner"),
        (["/tmp/ollama1/runners/cuda_v12/ollama_llama_server", "--port", "1"], "", "Ollama runner"),
        (["/usr/bin/llama-server", "-m", "a.gguf"], "", "llama-server"),
        (["python", "main.py", "--listen"], "/home/u/ComfyUI", "ComfyUI"),
        (["python3.11", "-s", "/home/u/ComfyUI/main.py"], "/", "ComfyUI"),
        ([PYTHON, "-u", "launch.py"], "/srv/stable-diffusion-webui", "Stable Diffusion WebUI"),
        ([PYTHON, "server.py"], "/srv/text-generation-webui", "text-generation-webui"),
        ([PYTHON, "koboldcpp.py", "--model", "a"], "/srv", "KoboldCpp"),
        ([PYTHON, "-Xfrozen_modules=off", "-m", "ipykernel_launcher"], "", "a Jupyter notebook"),
        ([PYTHON, "-X", "dev", "-W", "ignore", "train.py"], "/srv", "train.py (python)"),
        ([PYTHON, "-m", "my.trainer"], "", "my.trainer (python)"),
        ([PYTHON, "-mvllm"], "", "vLLM"),
        ([PYTHON, "-c", "import torch; key='x'"], "", "python3"),
        ([PYTHON, "-"], "", "python3"),
        ([PYTHON], "", "python3"),
        (["/usr/lib/xorg/Xorg", ":0", "-auth", "/run/x"], "", "Xorg"),
        (["/opt/google/chrome/chrome --type=gpu-process --user=x"], "", "Chrome"),
        (["/opt/LM Studio/LM Studio", "--type=utility"], "", "LM Studio"),
        (["server of alice with sk-123"], "", "server"),
        ([PYTHON, "-m", "not a module; sk-123"], "", "python3"),
        ([PYTHON, "sk-123\x1b[31m"], "", "python3"),
        ([], "", ""),
        (["", ""], "", ""),
    ],
)
def test_a_program_is_called_what_people_call_it(words: list[str], folder: str, name: str) -> None:
    assert program_name(words, folder) == name


@given(
    st.sampled_from(
        [
            [PYTHON, "-m", "vllm.entrypoints.openai.api_server"],
            [PYTHON, "train.py"],
            [PYTHON, "-c"],
            ["/usr/bin/llama-server"],
            ["/usr/local/bin/ollama", "serve"],
            ["/opt/chrome --type=gpu"],
        ]
    ),
    st.lists(st.sampled_from(["--api-key", "--model", "-m", "runner", "a", ""]), max_size=4),
    st.integers(0, 4),
    st.text("0123456789abcdef", min_size=8),
)
def test_what_follows_the_program_never_shows(
    start: list[str], options: list[str], at: int, secret: str
) -> None:
    words = [*start, *options[:at], f"sk-{secret}", *options[at:]]
    assert secret not in program_name(words)
    assert secret not in program_name([" ".join(words)])


def test_a_forked_child_is_told_from_a_program() -> None:
    spawned = [PYTHON, "-c", "from multiprocessing.spawn import spawn_main; spawn_main(5)"]
    assert is_forked_python(spawned)
    assert is_forked_python([PYTHON, "-s", "-c", "from multiprocessing.resource_tracker import x"])
    assert not is_forked_python([PYTHON, "train.py"])
