"""Caches and compute buffers that llama.cpp printed on real cards, for models that are not plain.

Shapes are those of the published ``config.json``; each row cites where its log was published.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from modeldeck.engines.fit.drafting import (
    beside,
    draft_model_bytes,
    prediction_bytes,
    whole_bill,
)
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import bill, flash_attention_on_cuda
from modeldeck.engines.types import BlockWeights, Draft, HParam, ModelHeader, Plan, WeightTable

MIB = 1 << 20
ANANKE = "avafloww/ananke, calibration measurements, llama-server of July 2026"
SEPARATE = EngineProfile("no unified cache", unified=False)


def shape(
    architecture: str, hparams: Mapping[str, HParam], vocabulary: int, expert_mib: float = 0.0
) -> Shape:
    """A model by its keys; weights do not matter but for one tensor of experts."""
    layers = hparams["block_count"]
    assert isinstance(layers, int)
    size = round(3 * expert_mib * MIB)
    header = ModelHeader(
        architecture=architecture,
        name="",
        parameters=0,
        quantisation="Q4_K_M",
        context_length=131072,
        vocabulary_size=vocabulary,
        has_chat_template=True,
        hparams={f"{architecture}.{key}": value for key, value in hparams.items()},
        weights=WeightTable(
            blocks=tuple(BlockWeights(at, 100 * MIB, size, 0) for at in range(layers)),
            largest_matrix_bytes=50 * MIB,
            largest_expert_bytes=size // 3,
        ),
        tensor_count=1,
    )
    found = shape_of(header)
    assert not isinstance(found, Unjudged), found.why
    return found


def keys(
    layers: int, embedding: int, wide: int, heads: int, kv_heads: HParam, head: int, **more: HParam
) -> dict[str, HParam]:
    return {
        "block_count": layers,
        "embedding_length": embedding,
        "feed_forward_length": wide,
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.key_length": head,
        "attention.value_length": head,
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def window(tokens: int, pattern: HParam | None = None, **more: HParam) -> dict[str, HParam]:
    found: dict[str, HParam] = {"attention.sliding_window": tokens, **more}
    if pattern is not None:
        found["attention.sliding_window_pattern"] = pattern
    return found


SIXTH = tuple(int(at % 6 < 5) for at in range(48))
QWEN3_4B = shape("qwen3", keys(36, 2560, 9728, 32, 8, 128), 151936)
MAGIDONIA = shape("llama", keys(40, 5120, 32768, 32, 8, 128), 131072)
GEMMA_3_27B = shape("gemma3", keys(62, 5376, 21504, 32, 16, 128) | window(1024), 262208)
GEMMA_4_12B = shape(
    "gemma4",
    keys(48, 3840, 15360, 16, tuple(8 if slides else 1 for slides in SIXTH), 512)
    | window(1024, SIXTH)
    | {"attention.key_length_swa": 256, "attention.value_length_swa": 256},
    262144,
)
GEMMA_4_26B = shape(
    "gemma4",
    keys(30, 2816, 2112, 16, tuple(8 if slides else 2 for slides in SIXTH[:30]), 512)
    | window(1024, SIXTH[:30])
    | {"attention.key_length_swa": 256, "attention.value_length_swa": 256},
    262144,
)
GPT_OSS = keys(24, 2880, 2880, 64, 8, 64, expert_count=32, expert_used_count=4) | window(128)
GPT_OSS_20B = shape("gpt-oss", GPT_OSS, 201088, 8)
GPT_OSS_120B = shape("gpt-oss", GPT_OSS | {"block_count": 36}, 201088, 8)
QWEN3_30B = shape(
    "qwen3moe",
    keys(48, 2048, 6144, 32, 4, 128, expert_count=128, expert_used_count=8)
    | {"expert_feed_forward_length": 768},
    151936,
    expert_mib=108,
)
QWEN35_27B = shape(
    "qwen35",
    keys(64, 5120, 17408, 24, 4, 256, full_attention_interval=4)
    | {
        "ssm.inner_size": 6144,
        "ssm.state_size": 128,
        "ssm.group_count": 16,
        "ssm.conv_kernel": 4,
    },
    248320,
)
DEEPSEEK_V2_LITE = shape(
    "deepseek2",
    keys(27, 2048, 10944, 16, 16, 192, expert_count=64, expert_used_count=6)
    | {"expert_feed_forward_length": 1408, "attention.value_length": 128},
    102400,
    expert_mib=50,
)


@pytest.mark.parametrize(
    ("model", "plan", "kv_mib", "state_mib", "rollback", "source"),
    [
        (
            GPT_OSS_20B,
            Plan(context_tokens=8192, kv_type="q8_0", micro_batch_tokens=128),
            102.00 + 3.19,
            0,
            0,
            "llama.cpp log, Hexagon backend",
        ),
        (GPT_OSS_120B, Plan(context_tokens=65536, slots=4), 2304 + 36, 0, 0, "llama-server log"),
        (
            GEMMA_4_26B,
            Plan(context_tokens=262144, kv_type="q8_0"),
            2720.00 + 159.38,
            0,
            0,
            "llama-server log",
        ),
        (
            GEMMA_4_12B,
            Plan(context_tokens=8192, kv_type="q8_0", slots=4),
            68 + 765,
            0,
            0,
            "llama-server log, 8 GB laptop GPU",
        ),
        (
            QWEN35_27B,
            Plan(context_tokens=200192, kv_type="q8_0"),
            6647.00,
            149.62,
            0,
            "llama-server log",
        ),
        (
            QWEN35_27B,
            Plan(context_tokens=131072, kv_type="q8_0", slots=4),
            4352,
            598.5,
            0,
            "llama-server log, May 2026",
        ),
        (
            QWEN35_27B,
            Plan(context_tokens=131072, kv_type="q8_0", slots=4),
            4352,
            2394.0,
            3,
            "llama-server log with three drafted tokens",
        ),
        (DEEPSEEK_V2_LITE, Plan(context_tokens=8192), 2160, 0, 0, "LM Studio log, an old file"),
    ],
)
def test_caches_and_states_are_exact(
    model: Shape, plan: Plan, kv_mib: float, state_mib: float, rollback: int, source: str
) -> None:
    plan = plan._replace(draft=Draft(tokens=rollback) if rollback else None)
    terms = bill(model, plan, plan.context_tokens, model.layers)
    assert terms.kv_gpu_bytes / MIB == pytest.approx(kv_mib, abs=0.011), source
    assert terms.recurrent_gpu_bytes / MIB == pytest.approx(state_mib, abs=0.006), source


UB2048 = Plan(context_tokens=32768, micro_batch_tokens=2048)


@pytest.mark.parametrize(
    ("model", "plan", "cards", "profile", "per_card_mib"),
    [
        (QWEN3_4B, Plan(context_tokens=32768), 1, LLAMA_SERVER, 107),
        (QWEN3_4B, Plan(context_tokens=32768), 2, LLAMA_SERVER, 223),
        (QWEN3_4B, Plan(context_tokens=32768, slots=4), 2, SEPARATE, 127),
        (MAGIDONIA, Plan(context_tokens=65536), 2, LLAMA_SERVER, 516),
        (MAGIDONIA, UB2048, 2, LLAMA_SERVER, 1552),
        (GEMMA_3_27B, Plan(context_tokens=32768, kv_type="q8_0"), 2, LLAMA_SERVER, 469),
        (GEMMA_3_27B, UB2048, 2, LLAMA_SERVER, 1348),
        (
            GEMMA_3_27B,
            Plan(context_tokens=32768, micro_batch_tokens=2048, flash_attention=False),
            2,
            LLAMA_SERVER,
            9884,
        ),
    ],
)
def test_compute_buffers_of_real_cards(
    model: Shape, plan: Plan, cards: int, profile: EngineProfile, per_card_mib: float
) -> None:
    terms = bill(model, plan, plan.context_tokens, model.layers, cards=cards, profile=profile)
    found = terms.compute_gpu_bytes / cards / MIB
    assert found == pytest.approx(per_card_mib, rel=0.01), ANANKE


@pytest.mark.parametrize(
    ("plan", "compute_mib"),
    [
        (Plan(context_tokens=8192, cpu_moe_blocks=48), 176.01),
        (
            Plan(context_tokens=32768, micro_batch_tokens=2048, kv_type="q8_0", cpu_moe_blocks=48),
            476.12,
        ),
    ],
)
def test_experts_in_host_memory_are_copied_one_tensor_at_a_time(
    plan: Plan, compute_mib: float
) -> None:
    # Qwen3-30B-A3B Q4_K, llama.cpp's own scheduler with CUDA's sizes.
    terms = bill(QWEN3_30B, plan, plan.context_tokens, 48)
    assert terms.compute_gpu_bytes / MIB == pytest.approx(compute_mib, abs=0.2)
    assert terms.weights_host_bytes == 48 * 324 * MIB
    assert terms.weights_gpu_bytes == 4800 * MIB


def test_experts_leave_from_the_front_and_blocks_from_the_front_too() -> None:
    plan = Plan(cpu_moe_blocks=10)
    whole, part, none = (bill(QWEN3_30B, plan, 4096, k) for k in (48, 44, 30))
    assert whole.weights_host_bytes == 10 * 324 * MIB
    assert part.weights_host_bytes == (4 * 424 + 6 * 324) * MIB
    # The blocks whose experts would move are in host memory as a whole.
    assert none.weights_host_bytes == 18 * 424 * MIB


def test_a_draft_has_weights_a_cache_and_a_graph_of_its_own() -> None:
    plan = Plan(context_tokens=32768, kv_type="q8_0")
    alone = bill(QWEN3_4B, Plan(context_tokens=32768), 32768, 36)
    drafted, beside_it = draft_model_bytes(QWEN3_4B, plan, 32768)
    parts = (alone.weights_gpu_bytes, alone.kv_gpu_bytes, alone.compute_gpu_bytes)
    assert (drafted, beside_it) == (sum(parts), alone.total_host_bytes)
    plan = plan._replace(draft=Draft("draft.gguf"))
    whole = whole_bill(beside(MAGIDONIA, QWEN3_4B, ()), plan, 32768, 40)
    assert (whole.draft_bytes, whole.draft_host_bytes) == (drafted, beside_it)
    assert whole._replace(draft_bytes=0, draft_host_bytes=0) == bill(MAGIDONIA, plan, 32768, 40)


def test_predicting_ahead_costs_its_blocks_their_cache_and_a_graph() -> None:
    predicting = shape(
        "qwen35",
        keys(65, 5120, 17408, 24, 4, 256, full_attention_interval=4, nextn_predict_layers=1)
        | {"ssm.inner_size": 6144, "ssm.state_size": 128, "ssm.group_count": 16}
        | {"ssm.conv_kernel": 4},
        248320,
    )
    plan = Plan(context_tokens=131072, kv_type="q8_0")
    usual = bill(predicting, plan, 131072, 65)
    assert usual.weights_gpu_bytes == 6400 * MIB
    assert usual.kv_gpu_bytes == bill(QWEN35_27B, plan, 131072, 64).kv_gpu_bytes
    sixteen_bits = bill(predicting, Plan(context_tokens=131072), 131072, 65).compute_gpu_bytes
    ahead = prediction_bytes(predicting, plan, 131072)
    assert ahead == 100 * MIB + 512 * MIB + sixteen_bits
    assert prediction_bytes(QWEN35_27B, plan, 131072) == 0


def test_a_head_size_without_a_kernel_anywhere_rules_flash_attention_out() -> None:
    assert flash_attention_on_cuda(GEMMA_4_12B)
    odd = keys(48, 3840, 15360, 16, 8, 512) | window(1024, SIXTH)
    sizes: dict[str, HParam] = {
        "attention.key_length_swa": 100,
        "attention.value_length_swa": 100,
    }
    assert not flash_attention_on_cuda(shape("gemma4", odd | sizes, 262144))
