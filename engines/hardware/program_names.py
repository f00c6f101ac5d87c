"""What people call a running program, told from its command line. Pure.

Of a command line only the program, a Python module and the file name of a script are ever shown:
what follows them may be a key or a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Final

_PYTHON: Final = re.compile(r"(?:python|pypy)[0-9.]*t?")
_SCRIPT: Final = re.compile(r"[A-Za-z_][\w.-]{0,39}")
_MODULE: Final = re.compile(r"[A-Za-z_]\w{0,30}(?:\.[A-Za-z_]\w{0,30}){0,4}")
# Options of the interpreter that take the next word: man python.
_TAKES_A_WORD: Final = ("-W", "-X", "--check-hash-based-pycs")

# Programs, console scripts and top packages of "python -m", in small letters.
_KNOWN: Final[Mapping[str, str]] = {
    "accelerate": "Accelerate",
    "aphrodite": "Aphrodite",
    "axolotl": "Axolotl",
    "chrome": "Chrome",
    "comfy": "ComfyUI",
    "exllamav2": "ExLlamaV2",
    "exllamav3": "ExLlamaV3",
    "fastchat": "FastChat",
    "firefox": "Firefox",
    "firefox-bin": "Firefox",
    "invokeai": "InvokeAI",
    "invokeai-web": "InvokeAI",
    "ipykernel": "a Jupyter notebook",
    "ipykernel_launcher": "a Jupyter notebook",
    "koboldcpp": "KoboldCpp",
    "llama_cpp": "llama-cpp-python",
    "lm-studio": "LM Studio",
    "lm studio": "LM Studio",
    "lmdeploy": "LMDeploy",
    "mlc_llm": "MLC LLM",
    "mlx_lm": "MLX LM",
    "modeldeck": "modeldeck",
    "ollama": "Ollama",
    "ollama_llama_server": "Ollama runner",
    "open-webui": "Open WebUI",
    "open_webui": "Open WebUI",
    "sglang": "SGLang",
    "tabby": "Tabby",
    "tensorrt_llm": "TensorRT-LLM",
    "text-generation-launcher": "Text Generation Inference",
    "text-generation-server": "Text Generation Inference",
    "text_generation_server": "Text Generation Inference",
    "tritonserver": "Triton",
    "trtllm-serve": "TensorRT-LLM",
    "vllm": "vLLM",
    "xinference": "Xinference",
}

# Checkouts that are run by a script of their own, which is mostly called main.py.
_CHECKOUTS: Final[Mapping[str, str]] = {
    "comfyui": "ComfyUI",
    "exui": "ExUI",
    "fooocus": "Fooocus",
    "invokeai": "InvokeAI",
    "kohya_ss": "kohya_ss",
    "koboldcpp": "KoboldCpp",
    "sd-scripts": "sd-scripts",
    "stable-diffusion-webui": "Stable Diffusion WebUI",
    "stable-diffusion-webui-forge": "Stable Diffusion WebUI Forge",
    "tabbyapi": "TabbyAPI",
    "text-generation-webui": "text-generation-webui",
}

# Titles that programs give their own processes.
_TITLES: Final[Mapping[str, str]] = {"vllm::": "vLLM", "sglang::": "SGLang", "ray::": "Ray"}


def program_name(words: Sequence[str], folder: str = "") -> str:
    """The name of the program that ``words`` started: ``vLLM``, ``Ollama runner``, ``Xorg``.

    Args:
        words: its command line; untrusted, the caller cleans the answer.
        folder: the folder it works in, where that is known.

    Returns:
        A Python program that nobody knows is called after its script or module; one without
        either, and any other program, by the file name it was started with; empty without one.
    """
    words = _stripped(words)
    if not words:
        return ""
    first = words[0]
    for title, name in _TITLES.items():
        if first.lower().startswith(title):
            return name
    # A process that renames itself has one word, with its options in it.
    program = (first if len(words) > 1 else first.partition(" ")[0]).rsplit("/", 1)[-1]
    if _PYTHON.fullmatch(program.lower()):
        return _python_name(words[1:], folder) or program
    if program.lower() == "ollama" and words[1:2] == ["runner"]:
        return "Ollama runner"
    return _known(program) or program


def is_forked_python(words: Sequence[str]) -> bool:
    """Whether it is a child of Python's ``multiprocessing``, which says nothing of itself."""
    return any("multiprocessing" in word for word in words[1:4])


def _stripped(words: Iterable[str]) -> list[str]:
    kept = list(words)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _python_name(arguments: Sequence[str], folder: str) -> str:
    words = iter(arguments)
    for word in words:
        if word in _TAKES_A_WORD:
            next(words, None)
        elif word.startswith("-m"):
            return _module_name(word[2:] or next(words, ""))
        elif word.startswith("-"):
            if word.startswith("-c") or word == "-":
                return ""
        else:
            return _script_name(word, folder)
    return ""


def _module_name(module: str) -> str:
    if not _MODULE.fullmatch(module):
        return ""
    return _known(module.partition(".")[0]) or f"{module} (python)"


def _script_name(path: str, folder: str) -> str:
    script = PurePath(path)
    inside = (*script.parts[:-1], PurePath(folder).name)
    for part in reversed(inside):
        if name := _CHECKOUTS.get(part.lower()):
            return name
    if known := _known(script.name.removesuffix(".py")):
        return known
    return f"{script.name} (python)" if _SCRIPT.fullmatch(script.name) else ""


def _known(program: str) -> str:
    return _KNOWN.get(program.lower(), "")
