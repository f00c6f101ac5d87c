"""Where to read on: hubs, documentation, leaderboards, with their addresses."""

from __future__ import annotations

from typing import Final, NamedTuple


class Link(NamedTuple):
    """One address and what is there."""

    title: str
    url: str
    what: str


LINKS: Final[tuple[tuple[str, tuple[Link, ...]], ...]] = (
    (
        "Hubs",
        (
            Link("Hugging Face Hub", "https://huggingface.co/models", "weights in every format"),
            Link("Ollama's library", "https://ollama.com/library", "names for ollama:NAME:TAG"),
            Link("ModelScope", "https://modelscope.cn/models", "a hub with many Chinese models"),
        ),
    ),
    (
        "Documentation",
        (
            Link(
                "llama.cpp",
                "https://github.com/ggml-org/llama.cpp/tree/master/docs",
                "building, backends, options",
            ),
            Link(
                "llama-server",
                "https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
                "every option of the server",
            ),
            Link(
                "Quantisations",
                "https://github.com/ggml-org/llama.cpp/tree/master/tools/quantize",
                "sizes and losses of GGUF types",
            ),
            Link("ExLlamaV3", "https://github.com/turboderp-org/exllamav3", "EXL3 on NVIDIA cards"),
            Link("vLLM", "https://docs.vllm.ai", "AWQ, GPTQ and FP8 for many users"),
            Link("Ollama", "https://docs.ollama.com", "its store, its API, its Modelfile"),
            Link(
                "Downloads",
                "https://huggingface.co/docs/huggingface_hub/guides/download",
                "the cache, tokens, mirrors",
            ),
        ),
    ),
    (
        "Leaderboards",
        (
            Link("LMArena", "https://lmarena.ai/leaderboard", "votes of people, blind"),
            Link("LiveBench", "https://livebench.ai", "fresh questions each month"),
            Link("Aider", "https://aider.chat/docs/leaderboards", "editing code"),
            Link(
                "Open ASR, MTEB and others",
                "https://huggingface.co/spaces?category=leaderboard",
                "by task",
            ),
        ),
    ),
)
