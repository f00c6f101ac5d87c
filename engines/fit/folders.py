"""What engines for folders of safetensors take: ExLlamaV2, ExLlamaV3, Transformers.

Sources: exllamav2 da07fac and exllamav3 4f8ad01 (``cache.py``, ``model.py``). Transformers is not
derived from its source: a cache that grows by concatenation, and a tenth for its allocator.
"""

from __future__ import annotations

from typing import Final, Literal

from modeldeck.engines.fit.kept import Kept
from modeldeck.engines.fit.types import Bill
from modeldeck.engines.units import MIB

_MARGIN_BYTES: Final = 256 * MIB
_CONTEXT_BYTES: Final = 250 * MIB
_TORCH_CONTEXT_BYTES: Final = 375 * MIB
_CHUNK_TOKENS: Final = 2048
_PAGE_TOKENS: Final = 256
_RING_TOKENS: Final = 512
_LARGEST_UNPACKED: Final = 512 << 20

Exl2Cache = Literal["fp16", "fp8", "q8", "q6", "q4"]

_EXL2_ELEMENT_BYTES: Final[dict[Exl2Cache, float]] = {
    "fp16": 2.0,
    "fp8": 1.0,
    "q8": 1.0625,
    "q6": 0.8125,
    "q4": 0.5625,
}


def exllama_v2_bill(model: Kept, context_tokens: int, cache: Exl2Cache = "fp16") -> Bill:
    """ExLlamaV2 with the whole model on one GPU; the table of input tokens stays in host memory.

    A quantised cache has one layer's keys and values beside it, as 16-bit numbers over the whole
    context. Every block caches the whole context, sliding windows too.
    """
    tokens = _rounded(context_tokens, _PAGE_TOKENS)
    elements = model.elements + model.sliding_elements
    unpacked = 0 if cache in {"fp16", "fp8"} else 2 * tokens * model.widest_elements
    matrix = min(model.embedding * max(model.feed_forward, model.vocabulary), _LARGEST_UNPACKED)
    return Bill(
        weights_gpu_bytes=model.weights_bytes - model.embedding_bytes,
        weights_host_bytes=model.embedding_bytes,
        kv_gpu_bytes=int(tokens * elements * _EXL2_ELEMENT_BYTES[cache]) + unpacked,
        compute_gpu_bytes=2 * matrix + _activations(model),
        context_overhead_bytes=_CONTEXT_BYTES,
        margin_bytes=_MARGIN_BYTES,
    )


def exllama_v3_bill(
    model: Kept,
    context_tokens: int,
    key_bits: int = 16,
    value_bits: int = 16,
    slots: int = 16,
) -> Bill:
    """ExLlamaV3 with the whole model on one GPU.

    Args:
        model: what it keeps.
        context_tokens: of the cache, over all sequences; rounded to pages of 256.
        key_bits: 2 to 8, or 16 for no quantisation; half a bit more goes for scales.
        value_bits: the same of V.
        slots: sequences that may run at once (``max_batch_size``, 16 unless set); each has a ring
            for its windows and a recurrent state.
    """
    tokens = _rounded(context_tokens, _PAGE_TOKENS)
    scales = sum(0.5 for bits in (key_bits, value_bits) if bits < 16)
    element_bytes = (key_bits + value_bits + scales) / 16
    ring = min(_rounded(model.window_tokens + _RING_TOKENS, _PAGE_TOKENS) * slots, tokens * slots)
    cells = tokens * model.elements + ring * model.sliding_elements
    return Bill(
        weights_gpu_bytes=model.weights_bytes - model.embedding_bytes,
        weights_host_bytes=model.embedding_bytes,
        kv_gpu_bytes=int(cells * element_bytes),
        recurrent_gpu_bytes=4 * model.state_elements * slots,
        compute_gpu_bytes=_activations(model) + 4 * model.vocabulary * slots,
        context_overhead_bytes=_CONTEXT_BYTES,
        margin_bytes=512 * MIB,
    )


def transformers_bill(model: Kept, context_tokens: int, attention_kernel: bool = True) -> Bill:
    """Transformers with the whole model on one GPU and one sequence, weights as stored.

    Args:
        model: what it keeps.
        context_tokens: of the one sequence.
        attention_kernel: without one every pair of tokens has a score in memory.
    """
    windows = min(context_tokens, model.window_tokens or context_tokens)
    cache = 2 * (context_tokens * model.elements + windows * model.sliding_elements)
    states = 4 * model.state_elements
    scores = 0 if attention_kernel else 2 * model.heads * context_tokens**2
    activations = 2 * context_tokens * (3 * model.feed_forward + 4 * model.embedding)
    compute = activations + scores + 4 * model.vocabulary
    slack = (model.weights_bytes + cache + compute) // 10
    return Bill(
        weights_gpu_bytes=model.weights_bytes,
        kv_gpu_bytes=cache,
        recurrent_gpu_bytes=states,
        compute_gpu_bytes=compute + slack,
        context_overhead_bytes=_TORCH_CONTEXT_BYTES,
        margin_bytes=_MARGIN_BYTES,
    )


def _activations(model: Kept) -> int:
    """A chunk of 2048 tokens on its way through one block, as 16-bit numbers."""
    return 2 * _CHUNK_TOKENS * (3 * model.feed_forward + 4 * model.embedding)


def _rounded(tokens: int, step: int) -> int:
    return -(-tokens // step) * step
