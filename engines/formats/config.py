"""A model's hyperparameters out of its Hugging Face ``config.json``, under the names of GGUF. Pure.

The names on the left are those that llama.cpp's converter writes (``gguf-py``, ``constants.py``);
those on the right are what the configurations in transformers call the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from modeldeck.engines.text import clean_line
from modeldeck.engines.types import HParam

_LARGEST: Final = 1 << 40
_MOST_LAYERS: Final = 4096

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "block_count": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "embedding_length": ("hidden_size", "n_embd", "d_model", "dim"),
    "feed_forward_length": ("intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim"),
    "attention.head_count": ("num_attention_heads", "n_head", "n_heads"),
    "attention.head_count_kv": (
        "num_key_value_heads",
        "num_kv_heads",
        "n_head_kv",
        "multi_query_group_num",
    ),
    "attention.key_length": ("head_dim", "kv_channels"),
    "attention.kv_lora_rank": ("kv_lora_rank",),
    "context_length": (
        "max_position_embeddings",
        "n_positions",
        "n_ctx",
        "seq_length",
        "max_seq_len",
        "max_sequence_length",
    ),
    "vocab_size": ("vocab_size", "padded_vocab_size"),
    "expert_count": (
        "num_local_experts",
        "num_experts",
        "n_routed_experts",
        "moe_num_experts",
    ),
    "expert_used_count": ("num_experts_per_tok", "experts_per_token", "moe_k"),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "attention.sliding_window": ("sliding_window",),
    "ssm.conv_kernel": ("conv_kernel", "linear_conv_kernel_dim", "mamba_d_conv", "d_conv"),
    "full_attention_interval": ("full_attention_interval",),
    "nextn_predict_layers": ("num_nextn_predict_layers",),
}

_NESTED: Final = ("text_config", "llm_config", "language_config", "thinker_config")

_ARCHITECTURES: Final[Mapping[str, str]] = {
    "mistral": "llama",
    "mixtral": "llama",
    "ministral": "mistral3",
    "qwen2_vl": "qwen2vl",
    "qwen2_5_vl": "qwen2vl",
    "qwen2_vl_text": "qwen2vl",
    "qwen2_5_vl_text": "qwen2vl",
    "qwen2_moe": "qwen2moe",
    "qwen3_moe": "qwen3moe",
    "qwen3_vl_text": "qwen3vl",
    "qwen3_vl_moe_text": "qwen3vlmoe",
    "qwen3_next": "qwen3next",
    "qwen3_5": "qwen35",
    "qwen3_5_text": "qwen35",
    "qwen3_5_moe": "qwen35moe",
    "qwen3_5_moe_text": "qwen35moe",
    "gemma3_text": "gemma3",
    "gemma3n_text": "gemma3n",
    "gemma4_text": "gemma4",
    "llama4_text": "llama4",
    "phi": "phi2",
    "phi4": "phi3",
    "gpt_neox": "gptneox",
    "gpt_oss": "gpt-oss",
    "cohere": "command-r",
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "deepseek_v32": "deepseek32",
    "granitemoe": "granitemoe",
    "granitemoehybrid": "granitehybrid",
    "hunyuan_v1_dense": "hunyuan-dense",
    "hunyuan_v1_moe": "hunyuan-moe",
    "ernie4_5_moe": "ernie4_5-moe",
    "glm4_moe": "glm4moe",
    "falcon_h1": "falcon-h1",
    "xlm-roberta": "bert",
    "roberta": "bert",
    "modernbert": "modern-bert",
}


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration says of its model.

    Attributes:
        architecture: by llama.cpp's name where it has one, cleaned; empty when there is none.
        hparams: as a GGUF header would have them: ``ARCHITECTURE.block_count`` and so on.
        context_length: trained context in tokens; 0 when unknown.
        vocabulary_size: tokens; 0 when unknown.
        tied: the token embedding serves as the output layer too.
    """

    architecture: str
    hparams: Mapping[str, HParam]
    context_length: int
    vocabulary_size: int
    tied: bool


def config_of(whole: Mapping[str, object]) -> Config:
    """Read a configuration; of a model with several parts the one that writes text. Never raises.

    What has a wrong type or is absurd is as good as missing.
    """
    text = _text_part(whole)
    numbers = {
        key: number
        for key, names in _NAMES.items()
        if (number := _number(text, names) or _number(whole, names))
    }
    if text.get("use_sliding_window") is False:
        numbers.pop("attention.sliding_window", None)
    if "attention.key_length" in numbers:
        numbers["attention.value_length"] = numbers["attention.key_length"]
    if numbers.get("block_count", 0) > _MOST_LAYERS:
        del numbers["block_count"]
    architecture = _architecture(text) or _architecture(whole)
    tied = text.get("tie_word_embeddings", whole.get("tie_word_embeddings"))
    return Config(
        architecture,
        {f"{architecture}.{key}": number for key, number in numbers.items()},
        numbers.get("context_length", 0),
        numbers.get("vocab_size", 0),
        tied is True,
    )


def _text_part(whole: Mapping[str, object], depth: int = 2) -> Mapping[str, object]:
    for name in _NESTED:
        part = whole.get(name)
        if isinstance(part, dict) and part and depth:
            return _text_part(cast("dict[str, object]", part), depth - 1)
    return whole


def _number(table: Mapping[str, object], names: tuple[str, ...]) -> int:
    for name in names:
        value = table.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST:
            return value
    return 0


def _architecture(table: Mapping[str, object]) -> str:
    """The name of the kind of model: ``model_type``, else the class that runs it."""
    kind = table.get("model_type")
    if isinstance(kind, str) and kind.strip():
        return _ARCHITECTURES.get(kind.strip(), clean_line(kind, 60))
    classes = table.get("architectures")
    if isinstance(classes, list) and classes:
        first = cast("list[object]", classes)[0]
        return clean_line(first, 60) if isinstance(first, str) else ""
    return ""
