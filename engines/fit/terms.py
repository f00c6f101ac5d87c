"""The terms of the bill, in closed form, for plain dense models on one CUDA device.

Sources: llama.cpp ``llama-model.cpp`` (placement of weights), ``llama-kv-cache.cpp`` (cache),
``llama-context.cpp`` and ``llama-graph.cpp`` (worst-case graph). Coefficients of the compute buffer
were settled against buffers that llama.cpp reports; on one GPU they agree to a few per cent.
"""

from __future__ import annotations

from typing import Final

from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.types import Bill
from modeldeck.engines.types import KvType, Plan
from modeldeck.engines.units import MIB

CONTEXT_OVERHEAD_BYTES: Final = 250 * MIB
"""CUDA's own context and modules: outside every buffer the engine reports; ± 100 MiB."""

MARGIN_BYTES: Final = 256 * MIB
"""Kept free: pools grow at run time, and other programs' needs change."""

_CELLS_STEP: Final = 256

# ggml: bytes of one block, and elements in it
_KV_BLOCKS: Final[dict[KvType, tuple[int, int]]] = {
    "f32": (4, 1),
    "f16": (2, 1),
    "bf16": (2, 1),
    "q8_0": (34, 32),
    "q5_1": (24, 32),
    "q5_0": (22, 32),
    "q4_1": (20, 32),
    "q4_0": (18, 32),
    "iq4_nl": (18, 32),
}

_FLASH_HEADS: Final = frozenset({40, 64, 72, 80, 96, 112, 128, 256})
_FLASH_PAIRS: Final = frozenset({(192, 128), (320, 256), (512, 512), (576, 512)})


def flash_attention_on_cuda(shape: Shape) -> bool:
    """CUDA has a flash-attention kernel for these head sizes (``ggml-cuda/fattn.cu``)."""
    pair = (shape.key_length, shape.value_length)
    return (pair[0] == pair[1] and pair[0] in _FLASH_HEADS) or pair in _FLASH_PAIRS


def refusal(shape: Shape, plan: Plan) -> str | None:
    """Why llama.cpp would refuse this plan for this model, as a clause; None when it would not."""
    per_block = _KV_BLOCKS[plan.kv_type][1]
    if per_block == 1:
        return None
    if not plan.flash_attention:
        return f"a {plan.kv_type} cache needs flash attention"
    if shape.key_length % per_block or shape.value_length % per_block:
        return f"a {plan.kv_type} cache needs a head size that is a multiple of {per_block}"
    return None


def cells(context_tokens: int) -> int:
    """Cells of a unified cache: the context rounded up to a multiple of 256."""
    return -(-context_tokens // _CELLS_STEP) * _CELLS_STEP


def kv_bytes(elements_per_token: int, plan: Plan, context_tokens: int) -> int:
    """Bytes of a cache with that many K and V elements per token."""
    block_bytes, block_elements = _KV_BLOCKS[plan.kv_type]
    return cells(context_tokens) * elements_per_token * block_bytes // block_elements


def graph_bytes(shape: Shape, plan: Plan, context_tokens: int) -> int:
    """The compute buffer when every block is on one device.

    The peak over the phases of the graph, the attention mask living through all of them.
    """
    n_cells = cells(context_tokens)
    tokens = _micro_batch(plan, context_tokens)
    query = shape.heads * shape.key_length
    model = 2 * shape.embedding
    logits = 4 * min(tokens, plan.slots) * (shape.vocabulary + shape.embedding)
    feed_forward = 4 * tokens * (3 * shape.feed_forward + model + query)
    attention = 4 * tokens * (model + 2 * query)
    if not plan.flash_attention:
        attention += 4 * tokens * n_cells * shape.heads
    elif plan.kv_type != "f16":
        # one layer's cache, back in f16 for the kernel
        attention += 2 * n_cells * shape.kv_heads * (shape.key_length + shape.value_length)
    return max(logits, mask_bytes(plan, context_tokens) + max(feed_forward, attention))


def mask_bytes(plan: Plan, context_tokens: int) -> int:
    """The attention mask: f16 for flash attention, f32 without."""
    element_bytes = 2 if plan.flash_attention else 4
    return element_bytes * _micro_batch(plan, context_tokens) * cells(context_tokens)


def bill(shape: Shape, plan: Plan, context_tokens: int, blocks_on_gpu: int | None) -> Bill:
    """The whole bill with the last ``blocks_on_gpu`` blocks on the GPU.

    Args:
        shape: the model.
        plan: everything but the context and the number of layers.
        context_tokens: over all slots.
        blocks_on_gpu: 0 is the output layer alone; None leaves the GPU untouched.
    """
    graph = graph_bytes(shape, plan, context_tokens)
    all_elements = shape.kv_elements[-1]
    # The logits of each slot, and the inputs of a micro-batch.
    outside = 4 * plan.slots * shape.vocabulary
    outside += 8 * _micro_batch(plan, context_tokens) * shape.embedding
    if blocks_on_gpu is None:
        return Bill(
            weights_host_bytes=(
                shape.input_bytes + shape.output_host_bytes + shape.blocks_host_bytes[0]
            ),
            kv_host_bytes=kv_bytes(all_elements, plan, context_tokens),
            compute_host_bytes=graph + outside,
            projector_host_bytes=shape.projector_bytes,
        )
    k = blocks_on_gpu
    host_elements = all_elements - shape.kv_elements[k]
    if k == shape.layers:
        compute_gpu = graph
        compute_host = mask_bytes(plan, context_tokens) + outside
    else:
        # Large batches run on the GPU all the same: it holds a copy of one host matrix and of one
        # host layer's cache at a time.
        widest_cache = shape.kv_heads * (shape.key_length + shape.value_length)
        widest_bytes = kv_bytes(widest_cache, plan, context_tokens)
        compute_gpu = graph + shape.largest_matrix_bytes + widest_bytes
        compute_host = graph + outside
    return Bill(
        weights_gpu_bytes=shape.blocks_gpu_bytes[k] + shape.output_gpu_bytes,
        weights_host_bytes=shape.input_bytes + shape.blocks_host_bytes[k],
        kv_gpu_bytes=kv_bytes(shape.kv_elements[k], plan, context_tokens),
        kv_host_bytes=kv_bytes(host_elements, plan, context_tokens),
        compute_gpu_bytes=compute_gpu,
        compute_host_bytes=compute_host,
        context_overhead_bytes=CONTEXT_OVERHEAD_BYTES,
        margin_bytes=MARGIN_BYTES,
        projector_gpu_bytes=shape.projector_bytes,
    )


def projector_bytes(file_bytes: int) -> int:
    """What a projector takes: its file, and half of it for the graph that encodes an image.

    An upper estimate: llama-server's own worst case is 1131 MiB for a file of 860 MiB and 1284 MiB
    for one of 857 MiB.
    """
    return file_bytes * 3 // 2


def _micro_batch(plan: Plan, context_tokens: int) -> int:
    # The batch is cut to the context as it was asked for, before that is rounded up.
    return min(plan.micro_batch_tokens, plan.batch_tokens, context_tokens)
