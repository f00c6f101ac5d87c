"""Which architectures are plain dense decoders, and what is special about the others.

Names are llama.cpp's (``llama-arch.cpp``); which of them slide a window, compress their cache or
keep a recurrent state is in its ``llama-model.cpp`` and ``models/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modeldeck.engines.types import HParam

_PLAIN_NAMES: Final = """
    apertus arcee baichuan bloom chatglm codeshell command-r ernie4_5 exaone falcon gemma glm4 gpt2
    gptneox granite hunyuan-dense internlm2 jais llama minicpm mistral3 mpt nemotron olmo orion phi2
    phi3 plamo qwen qwen2 qwen2vl qwen3 refact seed_oss smollm3 stablelm starcoder starcoder2 xverse
    """
_PLAIN: Final = frozenset(_PLAIN_NAMES.split())

FUSED_GATE: Final = frozenset({"chatglm", "glm4", "phi3"})
"""Gate and up projection are one matrix of twice the width."""

# Their files name a window that llama.cpp does not use.
_IGNORES_WINDOW: Final = frozenset({"llama", "phi3"})

_SLIDING: Final = "sliding-window attention needs"
_LATENT: Final = "latent attention needs"
_RECURRENT: Final = "its recurrent layers need"
_EXPERTS: Final = "its mixture of experts needs"
_ENCODER: Final = "an encoder needs"

_SPECIAL: Final = {
    _SLIDING: """
        afmoe cohere2 cohere2moe exaone-moe exaone4 gemma2 gemma3 gemma3n gemma4 gpt-oss granite_swa
        laguna llama4 maple mellum mimo2 muse-glimmer olmo2 plamo3 smallthinker spark2_5 step35
        """,
    _LATENT: """
        deepseek2 deepseek2-ocr deepseek32 deepseek4 dots3note glm-dsa hy_v4 minicpm3 mistral4 plm
        """,
    _RECURRENT: """
        arwkv7 bailingmoe3 falcon-h1 glm5-next granitehybrid jamba kimi-k3 kimi-linear lfm2 lfm2moe
        mamba mamba2 minimax-01 nemotron_h nemotron_h_moe plamo2 qwen35 qwen35moe qwen3next qwen4exp
        rwkv6 rwkv6qwen2 rwkv7
        """,
    _EXPERTS: """
        arctic bailingmoe bailingmoe2 dbrx deepseek dots1 ernie4_5-moe glm4moe granitemoe grok
        grovemoe hunyuan-moe hy_v3 llada-moe minimax-m2 minimax-m3 olmoe phimoe qwen2moe qwen3moe
        qwen3vlmoe
        """,
    _ENCODER: """
        bert eurobert gemma-embedding jina-bert-v2 jina-bert-v3 modern-bert neo-bert nomic-bert
        nomic-bert-moe t5 t5encoder
        """,
}
_WHY: Final = {name: why for why, names in _SPECIAL.items() for name in names.split()}

# Keys that turn a plain architecture into something else.
_TELLTALES: Final = (
    ("expert_count", _EXPERTS),
    ("attention.kv_lora_rank", _LATENT),
    ("attention.key_length_mla", _LATENT),
    ("ssm.conv_kernel", _RECURRENT),
    ("full_attention_interval", _RECURRENT),
    ("nextn_predict_layers", "multi-token prediction needs"),
)


def why_not_plain(architecture: str, hparams: Mapping[str, HParam]) -> str:
    """What keeps the plain formula from holding: the start of a sentence; empty when it holds."""
    if architecture not in _PLAIN:
        return _WHY.get(architecture, f"the architecture {architecture or '(none)'} needs")
    for key, why in _TELLTALES:
        if hparams.get(f"{architecture}.{key}"):
            return why
    if architecture not in _IGNORES_WINDOW and hparams.get(
        f"{architecture}.attention.sliding_window"
    ):
        return _SLIDING
    return ""
