"""What is special about each architecture's memory: a table, by llama.cpp's names.

Names are those of ``llama-arch.cpp``; which blocks slide a window, compress their cache or keep a
recurrent state is in ``llama-model.cpp`` (``create_memory``) and in ``models/`` (``load_hparams``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

RecurrentRule = Literal["all", "both", "no-kv-heads", "no-kv-heads-nor-ff", "interval"]
"""Which blocks keep a recurrent state: all, all beside their cache, those without K and V heads,
those that have no feed-forward network either, or those ``recurrent_layers`` names (else all but
every n-th)."""

IndexerRule = Literal["all", "after-dense", "types", "attention-blocks"]
"""Which blocks cache the keys of a sparse-attention indexer too."""


@dataclass(frozen=True, slots=True)
class Window:
    """Sliding-window attention.

    Attributes:
        pattern: every n-th block has full attention; 0 means all slide; None means that the file
            must have an array of them.
        dense_first: the block with full attention comes first of each n, not last.
        tokens: the window when it is not the file's; 0 takes ``attention.sliding_window``.
        needs_key: without ``attention.sliding_window`` in the file no block slides.
        blocks: slides only with that many blocks; 0 for any.
    """

    pattern: int | None
    dense_first: bool = False
    tokens: int = 0
    needs_key: bool = True
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class Architecture:
    """How the memory of one architecture differs from a plain dense decoder's.

    Attributes:
        cached: it keeps a key and value cache.
        window: its sliding window; None for full attention everywhere.
        recurrent: which blocks keep a recurrent state; None for none.
        attention_interval: every n-th block is attention, when the file does not say.
        latent: with ``key_length_mla`` and ``value_length_mla`` it caches K alone.
        indexer: which blocks cache indexer keys.
        shared_kv: blocks without a cache of their own: 20 is all after the first 20, -1 as many of
            the last as ``attention.shared_kv_layers`` says; 0 is none.
        fused_gate: gate and up projection are one matrix of twice the width.
        has_output: it ends in an output layer; tied when that has no weights of its own.
    """

    cached: bool = True
    window: Window | None = None
    recurrent: RecurrentRule | None = None
    attention_interval: int = 4
    latent: bool = False
    indexer: IndexerRule | None = None
    shared_kv: int = 0
    fused_gate: bool = False
    has_output: bool = True


_PLAIN: Final = """
    apertus arcee arctic baichuan bailingmoe bailingmoe2 bitnet bloom chameleon codeshell cogvlm
    command-r dbrx deci deepseek deepseek2-ocr dots1 ernie4_5 ernie4_5-moe exaone falcon gemma
    glm4moe gpt2 gptneox granite granitemoe grok grovemoe hrm_text hunyuan-dense hunyuan-moe
    hunyuan_vl hy_v3
    internlm2 jais jais2 llama llama-embed maincoder minicpm minicpm3 minimax-m2 mistral3 mpt
    nanbeige nemotron olmo olmoe openelm orion paddleocr pangu-embedded phi2 phimoe plamo plm
    pockettts qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3tts qwen3vl qwen3vlmoe refact seed_oss
    smollm3 stablelm starcoder starcoder2 talkie xverse
    """

_UNCACHED: Final = """
    bert eurobert gemma-embedding jina-bert-v2 jina-bert-v3 modern-bert neo-bert nomic-bert
    nomic-bert-moe t5encoder wavtokenizer-dec
    """

_DIFFUSION: Final = "dream llada llada-moe rnd1"

_MARKED: Final = Window(pattern=None)
_SPECIAL: Final = {
    "chatglm glm4 phi3": Architecture(fused_gate=True),
    "gemma2": Architecture(window=Window(2, tokens=4096, needs_key=False)),
    "gemma3": Architecture(window=Window(6)),
    "gemma3n": Architecture(window=Window(5), shared_kv=20),
    "gemma4": Architecture(window=_MARKED, shared_kv=-1),
    "gpt-oss": Architecture(window=Window(2)),
    "cohere2 olmo2 afmoe mellum muse-glimmer": Architecture(window=Window(4)),
    "cohere2moe laguna": Architecture(window=Window(4, dense_first=True)),
    "smallthinker": Architecture(window=Window(4, dense_first=True, tokens=4096)),
    "exaone4": Architecture(window=Window(4, tokens=4096, needs_key=False, blocks=64)),
    "exaone-moe": Architecture(window=Window(4, tokens=128, needs_key=False)),
    "llama4": Architecture(window=Window(4, tokens=8192, needs_key=False)),
    "plamo3": Architecture(window=Window(8)),
    "granite_swa mimo2 step35 maple spark2_5": Architecture(window=_MARKED),
    "t5": Architecture(),
    "deepseek2 mistral4": Architecture(latent=True),
    "deepseek32": Architecture(latent=True, indexer="all"),
    "glm-dsa hy_v4": Architecture(latent=True, indexer="types"),
    "dots3note": Architecture(latent=True, indexer="types", window=_MARKED),
    "minimax-m3": Architecture(indexer="after-dense"),
    "mamba mamba2 rwkv6 rwkv6qwen2 rwkv7 arwkv7": Architecture(cached=False, recurrent="all"),
    "falcon-h1": Architecture(recurrent="both"),
    "granitehybrid jamba plamo2": Architecture(recurrent="no-kv-heads"),
    "nemotron_h nemotron_h_moe": Architecture(recurrent="no-kv-heads-nor-ff"),
    "lfm2": Architecture(recurrent="no-kv-heads", window=Window(0)),
    "lfm2moe": Architecture(recurrent="no-kv-heads"),
    "kimi-linear kimi-k3 bailingmoe3": Architecture(recurrent="no-kv-heads", latent=True),
    "glm5-next": Architecture(recurrent="no-kv-heads", latent=True, indexer="attention-blocks"),
    "qwen3next qwen35 qwen35moe": Architecture(recurrent="interval"),
    "minimax-01": Architecture(recurrent="interval", attention_interval=8),
}

ARCHITECTURES: Final[dict[str, Architecture]] = {
    **dict.fromkeys(_PLAIN.split(), Architecture()),
    **dict.fromkeys(_UNCACHED.split(), Architecture(cached=False, has_output=False)),
    **dict.fromkeys(_DIFFUSION.split(), Architecture(cached=False)),
    **{name: facts for names, facts in _SPECIAL.items() for name in names.split()},
}
"""Judged in closed form."""

NEEDS_DRY_RUN: Final = {
    "deepseek4": "its compressed caches need the dry run",
    "dflash": "a draft model that shares its target's layers needs the dry run",
    "eagle3": "a draft model that shares its target's layers needs the dry run",
    "gemma4-assistant": "a draft model that shares its target's cache needs the dry run",
    "graniteswitch": "its built-in adapters need the dry run",
    "qwen4exp": "its compressed caches need the dry run",
}
"""Judged by llama.cpp itself alone, and why."""

NO_MODEL: Final = {
    "clip": "this is a projector, which is loaded beside its model",
    "gptj": "llama.cpp knows the name but cannot run it",
}
"""Names in llama.cpp's list that no model is loaded by."""


def architecture(name: str) -> Architecture | str:
    """What is special about it, or why there is no closed form for it."""
    if known := ARCHITECTURES.get(name):
        return known
    if why := NO_MODEL.get(name) or NEEDS_DRY_RUN.get(name):
        return why
    return f"the architecture {name or '(none)'} needs the dry run"
