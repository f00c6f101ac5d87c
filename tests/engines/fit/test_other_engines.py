"""What a folder of safetensors takes in the engines that are not llama.cpp."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.folders import (
    Exl2Cache,
    exllama_v2_bill,
    exllama_v3_bill,
    transformers_bill,
)
from modeldeck.engines.fit.kept import Kept, kept_of
from modeldeck.engines.fit.paged import SGLANG, VLLM, paged_room, request_bytes
from modeldeck.engines.fit.shape import Unjudged
from modeldeck.engines.types import HParam, ModelHeader, WeightTable

MIB = 1 << 20
GIB = 1 << 30


def header(
    architecture: str, weights_mib: float, more: Mapping[str, HParam] | None = None
) -> ModelHeader:
    """Llama-3.1-8B's sizes, under any name."""
    hparams: dict[str, HParam] = {
        "block_count": 32,
        "embedding_length": 4096,
        "feed_forward_length": 14336,
        "attention.head_count": 32,
        "attention.head_count_kv": 8,
        **(more or {}),
    }
    return ModelHeader(
        architecture=architecture,
        name="",
        parameters=0,
        quantisation="bf16",
        context_length=131072,
        vocabulary_size=128256,
        has_chat_template=True,
        hparams={f"{architecture}.{key}": value for key, value in hparams.items()},
        # A folder's tensors need not be told apart by block.
        weights=WeightTable(
            token_embedding_bytes=1002 * MIB, other_bytes=round((weights_mib - 1002) * MIB)
        ),
        tensor_count=291,
    )


def kept(architecture: str = "llama", weights_mib: float = 5600, **more: HParam) -> Kept:
    keys = {key.replace("__", "."): value for key, value in more.items()}
    found = kept_of(header(architecture, weights_mib, keys))
    assert not isinstance(found, Unjudged), found.why
    return found


LLAMA = kept()


@pytest.mark.parametrize(
    ("cache", "kib_per_token", "beside_mib"),
    [("fp16", 128, 0), ("fp8", 64, 0), ("q8", 68, 32), ("q6", 52, 32), ("q4", 36, 32)],
)
def test_exllamav2_unpacks_one_layer_of_a_quantised_cache(
    cache: Exl2Cache, kib_per_token: int, beside_mib: int
) -> None:
    terms = exllama_v2_bill(LLAMA, 8192, cache)
    assert terms.kv_gpu_bytes == 8192 * kib_per_token * 1024 + beside_mib * MIB
    assert terms.weights_host_bytes == 1002 * MIB
    assert terms.weights_gpu_bytes == (5600 - 1002) * MIB


def test_exllamav3_quantises_keys_and_values_apart() -> None:
    assert exllama_v3_bill(LLAMA, 8192).kv_gpu_bytes == GIB
    # 4.5 of 16 bits each.
    assert exllama_v3_bill(LLAMA, 8192, 4, 4).kv_gpu_bytes == 288 * MIB
    assert exllama_v3_bill(LLAMA, 8192, 8, 4).kv_gpu_bytes == 416 * MIB
    assert exllama_v3_bill(LLAMA, 8100).kv_gpu_bytes == GIB


def test_exllamav3_keeps_a_ring_for_the_windows_of_every_sequence() -> None:
    gemma = kept("gemma3", attention__sliding_window=1024)
    one, many = (exllama_v3_bill(gemma, 32768, slots=slots).kv_gpu_bytes for slots in (1, 16))
    # 27 of 32 blocks slide; 1024 and 512 tokens are six pages.
    assert many - one == 15 * 1536 * 27 * 2048 * 2


def test_a_recurrent_model_has_a_state_for_every_sequence() -> None:
    hybrid = kept(
        "qwen35",
        ssm__inner_size=4096,
        ssm__state_size=128,
        ssm__group_count=16,
        ssm__conv_kernel=4,
    )
    each = 24 * (3 * (4096 + 2 * 16 * 128) + 128 * 4096) * 4
    assert exllama_v3_bill(hybrid, 4096, slots=2).recurrent_gpu_bytes == 2 * each
    assert transformers_bill(hybrid, 4096).recurrent_gpu_bytes == each


def test_transformers_without_a_kernel_scores_every_pair() -> None:
    quick, slow = transformers_bill(LLAMA, 8192), transformers_bill(LLAMA, 8192, False)
    assert quick.kv_gpu_bytes == slow.kv_gpu_bytes == GIB
    assert quick.weights_gpu_bytes == 5600 * MIB
    scores = 2 * 32 * 8192 * 8192
    assert slow.compute_gpu_bytes - quick.compute_gpu_bytes == pytest.approx(1.1 * scores, abs=2)


def test_vllm_fills_its_share_with_cache() -> None:
    room = paged_room(LLAMA, 8192, 12 * GIB, 12 * GIB)
    assert request_bytes(LLAMA, 8192) == GIB
    assert room.fits
    assert room.bill.total_gpu_bytes == pytest.approx(0.9 * 12 * GIB, abs=2)
    assert room.tokens == pytest.approx(room.bill.kv_gpu_bytes / (128 * 1024), abs=1)
    assert room.requests == pytest.approx(room.tokens / 8192, abs=0.01)


def test_vllm_refuses_a_context_that_one_request_cannot_have() -> None:
    room = paged_room(LLAMA, 65536, 12 * GIB, 12 * GIB)
    assert (room.fits, room.tokens, room.requests) == (False, 0, 0.0)
    assert room.missing_bytes == request_bytes(LLAMA, 65536) - room.bill.kv_gpu_bytes


def test_vllm_refuses_a_card_on_which_its_share_is_not_free() -> None:
    room = paged_room(LLAMA, 8192, 12 * GIB, 10 * GIB)
    assert not room.fits
    assert room.missing_bytes == int(0.9 * 12 * GIB) - 10 * GIB
    # The share of SGLang holds weights and cache; what it computes comes on top.
    assert not paged_room(LLAMA, 8192, 12 * GIB, 10 * GIB, SGLANG).fits


def test_a_window_takes_the_pages_that_a_step_may_see() -> None:
    gemma = kept("gemma3", attention__sliding_window=1024)
    full = 5 * 2048 * 2 * 32768
    seen = -(-(1023 + VLLM.batched_tokens) // 16) + 1
    assert request_bytes(gemma, 32768) == full + 27 * 2048 * 2 * 16 * seen


@given(st.integers(1, 200_000), st.integers(1, 200_000), st.integers(0, 80 * GIB))
def test_more_context_never_costs_less(one: int, other: int, free_bytes: int) -> None:
    less, more = sorted((one, other))
    for bill in (exllama_v2_bill, exllama_v3_bill, transformers_bill):
        assert bill(LLAMA, less).total_gpu_bytes <= bill(LLAMA, more).total_gpu_bytes
    rooms = [paged_room(LLAMA, context, 24 * GIB, free_bytes) for context in (less, more)]
    assert rooms[0].fits >= rooms[1].fits
    assert rooms[0].requests >= rooms[1].requests


def test_what_is_not_known_has_a_reason() -> None:
    assert kept_of(header("frobnicator", 5600)) == Unjudged(
        "the architecture frobnicator is not known here"
    )
    assert kept_of(header("llama", 5600, {"block_count": -1})) == Unjudged(
        "its block_count makes no sense"
    )
