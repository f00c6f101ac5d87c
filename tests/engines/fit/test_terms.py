"""Every term of the bill beside buffers that llama.cpp printed on real cards and real models.

Each row cites where its log was published; sizes are in MiB as llama.cpp prints them.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from modeldeck.engines.fit.profiles import EngineProfile
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import (
    bill,
    cells,
    flash_attention_on_cuda,
    graph_bytes,
    kv_bytes,
    mask_bytes,
    refusal,
)
from modeldeck.engines.types import BlockWeights, KvType, ModelHeader, Plan, WeightTable

MIB = 1 << 20
BEFORE_INDICES = EngineProfile("of 2024", value_indices=False)


@dataclass(frozen=True)
class Model:
    """A model by its published ``config.json``; the weights are whatever a row says."""

    architecture: str
    layers: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    vocabulary: int
    head_size: int = 128
    input_mib: float = 0.0
    tied: bool = False
    block_mib: float = 100.0
    output_mib: float = 0.0

    def shape(self) -> Shape:
        name = self.architecture
        weights = WeightTable(
            blocks=tuple(
                BlockWeights(index, round(self.block_mib * MIB), 0, 0)
                for index in range(self.layers)
            ),
            token_embedding_bytes=round(self.input_mib * MIB),
            output_bytes=round(self.output_mib * MIB),
            output_tied=self.tied,
        )
        header = ModelHeader(
            architecture=name,
            name="",
            parameters=0,
            quantisation="Q4_K_M",
            context_length=131072,
            vocabulary_size=self.vocabulary,
            has_chat_template=True,
            hparams={
                f"{name}.block_count": self.layers,
                f"{name}.embedding_length": self.embedding,
                f"{name}.feed_forward_length": self.feed_forward,
                f"{name}.attention.head_count": self.heads,
                f"{name}.attention.head_count_kv": self.kv_heads,
                f"{name}.attention.key_length": self.head_size,
                f"{name}.attention.value_length": self.head_size,
            },
            weights=weights,
            tensor_count=1,
        )
        shape = shape_of(header)
        assert not isinstance(shape, Unjudged)
        return shape


LLAMA_3_8B = Model("llama", 32, 4096, 14336, 32, 8, 128256)
LLAMA_3_2_3B = Model("llama", 28, 3072, 8192, 24, 8, 128256)
QWEN3_4B = Model("qwen3", 36, 2560, 9728, 32, 8, 151936)
QWEN2_5_3B = Model("qwen2", 36, 2048, 11008, 16, 2, 151936)
QWEN2_5_7B = Model("qwen2", 28, 3584, 18944, 28, 4, 152064)
MISTRAL_SMALL = Model("llama", 40, 5120, 32768, 32, 8, 131072)
PHI_3_MINI = Model("phi3", 32, 3072, 8192, 32, 32, 32064, head_size=96)

ANANKE = "avafloww/ananke, calibration measurements, llama-server of July 2026"


@pytest.mark.parametrize(
    ("model", "context", "kv_type", "size_mib", "source"),
    [
        (QWEN3_4B, 32768, "f16", 4608, ANANKE),
        (MISTRAL_SMALL, 65536, "f16", 5376 + 4864, ANANKE),
        (LLAMA_3_8B, 8192, "f16", 1024, "ollama log, Llama-3-8B Q4_0"),
        (LLAMA_3_8B, 512, "f16", 64, "llama.cpp log, Llama-3.1-8B Q4_K_M"),
        (LLAMA_3_2_3B, 2048, "f16", 224, "llama.cpp log, Llama-3.2-3B Q4_K_M"),
        (QWEN2_5_7B, 2048, "f16", 112, "llama.cpp log, Qwen2.5-7B F16"),
        (QWEN2_5_7B, 8192, "q8_0", 238, "llama-server log, 8 GB laptop GPU"),
        (PHI_3_MINI, 4096, "f16", 1536, "llama.cpp log, Phi-3-mini-4k"),
    ],
)
def test_the_cache_is_exact(
    model: Model, context: int, kv_type: KvType, size_mib: int, source: str
) -> None:
    shape = model.shape()
    assert kv_bytes(shape.kv_elements[-1], Plan(kv_type=kv_type), context) == size_mib * MIB, source


@pytest.mark.parametrize(
    ("model", "plan", "size_mib", "tolerance_mib", "source"),
    [
        (QWEN3_4B, Plan(context_tokens=32768), 107, 0.5, f"{ANANKE}, one RTX 3090"),
        # Before llama-server bounded its outputs, a whole micro-batch had logits.
        (
            LLAMA_3_8B,
            Plan(context_tokens=512, slots=512, flash_attention=False),
            258.50,
            0.005,
            "llama.cpp log, Llama-3.1-8B Q4_K_M",
        ),
        (
            LLAMA_3_8B,
            Plan(context_tokens=8192, slots=512, flash_attention=False),
            560.00,
            0.005,
            "ollama log, Llama-3-8B Q4_0",
        ),
        (
            QWEN2_5_7B,
            Plan(context_tokens=2048, slots=512, flash_attention=False),
            304.00,
            0.005,
            "llama.cpp log, Qwen2.5-7B F16",
        ),
        (
            PHI_3_MINI,
            Plan(context_tokens=4096, slots=256, micro_batch_tokens=256, flash_attention=False),
            150.0,
            7.0,
            "llama.cpp log, Phi-3-mini-4k",
        ),
    ],
)
def test_the_compute_buffer_is_close(
    model: Model, plan: Plan, size_mib: float, tolerance_mib: float, source: str
) -> None:
    found = graph_bytes(model.shape(), plan, plan.context_tokens, BEFORE_INDICES) / MIB
    assert found == pytest.approx(size_mib, abs=tolerance_mib), source


def test_host_buffers_of_a_card_that_holds_it_all() -> None:
    plan = Plan(context_tokens=32768)
    tied = Model("qwen3", 36, 2560, 9728, 32, 8, 151936, input_mib=304.28, tied=True, block_mib=68)
    terms = bill(tied.shape(), plan, 32768, 36)
    assert terms.weights_host_bytes / MIB == pytest.approx(304.28, abs=0.01)
    assert terms.weights_gpu_bytes / MIB == pytest.approx(36 * 68 + 304.28, abs=0.01)
    assert terms.compute_host_bytes / MIB == pytest.approx(42.01 + 0.58, abs=0.02)
    assert terms.kv_host_bytes == 0
    assert mask_bytes(plan, 32768) == 32 * MIB


def test_half_a_model_on_the_card_costs_copies_for_large_batches() -> None:
    # Qwen3-4B, 18 of 37 layers, 32k: the compute buffer grows from 107 to 242 MiB (ananke); a run
    # of llama.cpp's own scheduler gives 257.
    model = Model("qwen3", 36, 2560, 9728, 32, 8, 151936, block_mib=68.2)
    terms = bill(model.shape(), Plan(context_tokens=32768), 32768, 17)
    assert 242 <= terms.compute_gpu_bytes / MIB <= 260
    assert terms.kv_gpu_bytes == 17 * 128 * MIB
    assert terms.kv_host_bytes == 19 * 128 * MIB


def test_the_last_blocks_move_first() -> None:
    header_shape = Model("llama", 3, 256, 1024, 8, 2, 1000, head_size=32).shape()
    assert header_shape.blocks_gpu_bytes == (0, 100 * MIB, 200 * MIB, 300 * MIB)
    assert header_shape.blocks_host_bytes == (300 * MIB, 200 * MIB, 100 * MIB, 0)


def test_without_a_gpu_nothing_is_on_it_and_a_tied_output_is_no_second_copy() -> None:
    model = Model("llama", 2, 256, 1024, 8, 2, 1000, head_size=32, input_mib=7, tied=True)
    terms = bill(model.shape(), Plan(), 4096, None)
    assert (terms.total_gpu_bytes, terms.margin_bytes) == (0, 0)
    assert terms.weights_host_bytes == 207 * MIB


def test_the_context_is_rounded_up_to_256_cells() -> None:
    assert [cells(tokens) for tokens in (1, 256, 257, 4096)] == [256, 256, 512, 4096]


@pytest.mark.parametrize(
    ("head_size", "has_kernel"), [(64, True), (80, True), (128, True), (256, True), (100, False)]
)
def test_flash_attention_has_kernels_for_some_head_sizes(head_size: int, has_kernel: bool) -> None:
    shape = Model("llama", 2, 256, 1024, 8, 2, 1000, head_size=head_size).shape()
    assert flash_attention_on_cuda(shape) is has_kernel


def test_what_llama_cpp_refuses_is_known_beforehand() -> None:
    shape = Model("llama", 2, 256, 1024, 8, 2, 1000, head_size=80).shape()
    assert refusal(shape, Plan()) is None
    assert refusal(shape, Plan(kv_type="q8_0")) == (
        "a q8_0 cache needs a head size that is a multiple of 32"
    )
    assert refusal(LLAMA_3_8B.shape(), Plan(kv_type="q8_0")) is None
    assert refusal(LLAMA_3_8B.shape(), Plan(kv_type="q4_0", flash_attention=False)) == (
        "a q4_0 cache needs flash attention"
    )
