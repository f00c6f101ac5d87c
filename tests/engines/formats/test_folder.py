"""A folder's configuration and tensors make the header that a GGUF file would have had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import FormatError
from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.types import VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.formats.config import config_of
from modeldeck.engines.formats.folder import header_of_folder
from modeldeck.engines.formats.safetensors import SafeTensor
from modeldeck.engines.text import UNSAFE
from modeldeck.engines.types import ModelFormat, ModelHeader, Plan
from tests.support.safetensors_files import LLAMA, Weight, llama_weights


def header(
    weights: Sequence[Weight] | None = None, config: Mapping[str, object] | None = None
) -> ModelHeader:
    listed = llama_weights() if weights is None else weights
    tensors = [SafeTensor(w.name, w.dtype, w.shape, w.size_bytes) for w in listed]
    return header_of_folder(LLAMA if config is None else config, None, tensors)


def test_the_hyperparameters_stand_under_the_names_of_gguf() -> None:
    found = header()
    assert found.architecture == "llama"
    assert found.context_length == 4096
    assert found.vocabulary_size == 1000
    assert found.quantisation == "BF16"
    assert found.format is ModelFormat.SAFETENSORS
    assert found.hparams == {
        "llama.block_count": 2,
        "llama.embedding_length": 64,
        "llama.feed_forward_length": 128,
        "llama.attention.head_count": 1,
        "llama.attention.head_count_kv": 1,
        "llama.context_length": 4096,
        "llama.vocab_size": 1000,
    }


def test_the_weights_are_summed_by_block() -> None:
    found = header()
    assert [block.number for block in found.weights.blocks] == [0, 1]
    assert found.weights.total_bytes == sum(w.size_bytes for w in llama_weights())
    assert found.weights.token_embedding_bytes == 1000 * 64 * 2
    assert found.parameters == found.weights.total_bytes // 2
    assert not found.weights.output_tied
    tied = header(llama_weights()[:-1], {**LLAMA, "tie_word_embeddings": True})
    assert tied.weights.output_tied


def test_such_a_header_can_be_judged_like_one_of_gguf() -> None:
    verdict = judge(header(), Plan(context_tokens=2048), card_named("RTX 3060 12GB", 32 << 30))
    assert verdict.kind is VerdictKind.FITS
    assert verdict.layers == 2


def test_packed_weights_are_counted_by_their_own_bits() -> None:
    weights = [
        Weight("model.layers.0.mlp.down_proj.qweight", (8, 64), "I32"),
        Weight("model.layers.0.mlp.down_proj.qzeros", (1, 8), "I32"),
        Weight("model.layers.0.mlp.down_proj.scales", (1, 64), "F16"),
        Weight("model.layers.0.mlp.down_proj.g_idx", (64,), "I32"),
    ]
    table = {"quant_method": "gptq", "bits": 4, "group_size": 64}
    found = header(weights, {**LLAMA, "quantization_config": table})
    assert found.parameters == 64 * 64
    assert found.format is ModelFormat.GPTQ
    assert found.weights.total_bytes == sum(w.size_bytes for w in weights)


def test_a_trellis_has_256_weights_in_each_tile() -> None:
    weights = [
        Weight("model.layers.0.mlp.up_proj.trellis", (4, 8, 48), "I16"),
        Weight("model.layers.0.mlp.up_proj.suh", (64,), "F16"),
    ]
    table = {"quant_method": "exl3", "bits": 3}
    assert header(weights, {**LLAMA, "quantization_config": table}).parameters == 64 * 128


def test_experts_and_eyes_are_told_from_the_rest() -> None:
    found = header(
        [
            Weight("model.layers.0.mlp.experts.7.down_proj.weight", (8, 8)),
            Weight("model.layers.0.mlp.gate.weight", (8, 2)),
            Weight("visual.blocks.0.attn.qkv.weight", (4, 4)),
        ]
    )
    (block,) = found.weights.blocks
    assert (block.expert_bytes, block.dense_bytes) == (128, 32)
    assert found.weights.other_bytes == 32


@pytest.mark.parametrize(
    ("config", "architecture", "key", "value"),
    [
        (
            {"model_type": "mistral", "sliding_window": 4096},
            "llama",
            "attention.sliding_window",
            4096,
        ),
        (
            {"model_type": "qwen2", "sliding_window": 9, "use_sliding_window": False},
            "qwen2",
            "attention.sliding_window",
            None,
        ),
        ({"model_type": "qwen3_moe", "num_experts": 128}, "qwen3moe", "expert_count", 128),
        ({"model_type": "gpt2", "n_head": 12}, "gpt2", "attention.head_count", 12),
        (
            {"model_type": "deepseek_v3", "kv_lora_rank": 512},
            "deepseek2",
            "attention.kv_lora_rank",
            512,
        ),
        (
            {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "head_dim": 256}},
            "gemma3",
            "attention.value_length",
            256,
        ),
        ({"architectures": ["OddForCausalLM"], "n_layer": 3}, "OddForCausalLM", "block_count", 3),
        ({"model_type": "llama", "num_hidden_layers": 10**9}, "llama", "block_count", None),
        ({"model_type": "llama", "hidden_size": "64"}, "llama", "embedding_length", None),
        ({"model_type": "llama", "hidden_size": True}, "llama", "embedding_length", None),
    ],
)
def test_configurations_of_many_kinds(
    config: Mapping[str, object], architecture: str, key: str, value: int | None
) -> None:
    found = config_of(config)
    assert found.architecture == architecture
    assert found.hparams.get(f"{architecture}.{key}") == value


@pytest.mark.parametrize("config", [{}, {"model_type": 7}, {"architectures": [None]}])
def test_a_configuration_of_no_kind_is_refused(config: Mapping[str, object]) -> None:
    with pytest.raises(FormatError, match="which kind of model"):
        header(config=config)


def test_a_folder_without_weights_is_refused() -> None:
    with pytest.raises(FormatError, match="no weights"):
        header([])


@given(st.text(), st.text(min_size=1))
def test_nothing_from_a_folder_reaches_the_terminal_as_it_is(name: str, kind: str) -> None:
    try:
        found = header(config={**LLAMA, "model_type": kind, "_name_or_path": name})
    except FormatError:
        return
    assert not UNSAFE.search(found.name + found.architecture)
