"""The terms of the bill, in closed form.

Sources: llama.cpp ``llama-model.cpp`` (placement of weights), ``llama-kv-cache.cpp`` (cache),
``llama-context.cpp`` and ``llama-graph.cpp`` (worst-case graph). On one GPU the compute buffer
agrees with what llama.cpp reports to a few per cent; weights and caches are exact.
"""

from __future__ import annotations

from typing import Final

from modeldeck.engines.fit.cache import (
    KV_BLOCKS,
    Cells,
    cache_bytes,
    cells,
    cells_of,
    kv_bytes,
    micro_batch,
    outputs,
    state_bytes,
)
from modeldeck.engines.fit.compute import graph_bytes, graph_within, masks_within
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.types import Bill
from modeldeck.engines.types import Plan
from modeldeck.engines.units import MIB

__all__ = [
    "CONTEXT_OVERHEAD_BYTES",
    "MARGIN_BYTES",
    "bill",
    "cells",
    "flash_attention_on_cuda",
    "graph_bytes",
    "kv_bytes",
    "mask_bytes",
    "projector_bytes",
    "refusal",
]

CONTEXT_OVERHEAD_BYTES: Final = LLAMA_SERVER.context_overhead_bytes
"""CUDA's own context and modules: outside every buffer the engine reports; ± 100 MiB."""

MARGIN_BYTES: Final = 256 * MIB
"""Kept free: pools grow at run time, and other programs' needs change."""

_COPIES_FROM_TOKENS: Final = 32
"""From this many tokens on the GPU computes with weights that are in host memory too."""

_PIPELINED: Final = 4
"""Micro-batches that several cards work on at once (``GGML_SCHED_MAX_COPIES``)."""

_FLASH_HEADS: Final = frozenset({40, 64, 72, 80, 96, 112, 128, 256})
_FLASH_PAIRS: Final = frozenset({(192, 128), (320, 256), (512, 512), (576, 512)})


def flash_attention_on_cuda(shape: Shape) -> bool:
    """CUDA has a flash-attention kernel for these head sizes (``ggml-cuda/fattn.cu``)."""
    return all(
        (key == value and key in _FLASH_HEADS) or (key, value) in _FLASH_PAIRS
        for key, value in shape.head_sizes
    )


def refusal(shape: Shape, plan: Plan) -> str | None:
    """Why llama.cpp would refuse this plan for this model, as a clause; None when it would not."""
    per_block = KV_BLOCKS[plan.kv_type][1]
    if per_block == 1 or not (shape.kv_elements[-1] or shape.sliding_elements[-1]):
        return None
    if not (plan.flash_attention and shape.flash_attention):
        return f"a {plan.kv_type} cache needs flash attention"
    if any(size % per_block for pair in shape.head_sizes for size in pair):
        return f"a {plan.kv_type} cache needs a head size that is a multiple of {per_block}"
    return None


def mask_bytes(plan: Plan, context_tokens: int) -> int:
    """One attention mask over the context: f16 for flash attention, f32 without."""
    element_bytes = 2 if plan.flash_attention else 4
    return element_bytes * micro_batch(plan, context_tokens) * cells(context_tokens)


def bill(
    shape: Shape,
    plan: Plan,
    context_tokens: int,
    blocks_on_gpu: int | None,
    *,
    profile: EngineProfile = LLAMA_SERVER,
    cards: int = 1,
) -> Bill:
    """The bill of a model with its last ``blocks_on_gpu`` blocks on the GPU.

    What else is loaded beside it, ``with_beside`` (``drafting.py``) adds.

    Args:
        shape: the model.
        plan: everything but the context and the number of layers.
        context_tokens: over all slots.
        blocks_on_gpu: 0 is the output layer alone; None leaves the GPU untouched.
        profile: the program that runs llama.cpp.
        cards: GPUs that share the blocks; the bill is over all of them.
    """
    room = cells_of(shape, plan, context_tokens, profile)
    tokens = micro_batch(plan, context_tokens)
    # The logits of each slot, and the inputs of a micro-batch.
    outside = 4 * outputs(plan) * shape.vocabulary + 8 * tokens * shape.embedding
    all_cached = cache_bytes(shape, plan, room, shape.layers)
    all_states = state_bytes(shape, plan, shape.layers)
    if blocks_on_gpu is None:
        return Bill(
            weights_host_bytes=(
                shape.input_bytes + shape.output_host_bytes + shape.blocks_host_bytes[0]
            ),
            kv_host_bytes=all_cached,
            recurrent_host_bytes=all_states,
            compute_host_bytes=(
                graph_within(shape, plan, room, tokens, profile, on_gpu=False)
                + outside
                # Versions differ by one copy of the inputs; this is between them.
                - 2 * tokens * shape.embedding
            ),
            projector_host_bytes=shape.projector_bytes,
        )
    k = blocks_on_gpu
    experts_gpu, experts_host = _experts_moved(shape, plan, k)
    copies = tokens >= _COPIES_FROM_TOKENS
    graph = graph_within(shape, plan, room, tokens, profile, copies and experts_host > 0)
    masks = masks_within(shape, plan, room, tokens, profile)
    cached, states = (
        cache_bytes(shape, plan, room, k),
        state_bytes(shape, plan, k),
    )
    # Tables of per-block inputs are on the host, and what they give is made there.
    outside += 4 * tokens * shape.layer_inputs
    compute_gpu, compute_host = graph, masks + outside
    if k < shape.layers:
        # Large batches run on the GPU all the same: it holds a copy of one host matrix and of one
        # host layer's cache at a time.
        if copies:
            compute_gpu += shape.largest_matrix_bytes + _widest_cache(shape, plan, room, k)
        compute_host = graph + outside
    elif cards > 1 and not experts_host:
        width = 4 * tokens * shape.embedding
        compute_gpu += (_PIPELINED - 1) * masks + _PIPELINED * width
        # The first card makes such a stream; each of the others has its copies.
        compute_gpu += (2 * _PIPELINED - 1) * width * shape.crossing * (cards - 1) // cards
        compute_host += (_PIPELINED - 1) * masks
    return Bill(
        weights_gpu_bytes=shape.blocks_gpu_bytes[k] + shape.output_gpu_bytes - experts_gpu,
        weights_host_bytes=shape.input_bytes + shape.blocks_host_bytes[k] + experts_host,
        kv_gpu_bytes=cached,
        kv_host_bytes=all_cached - cached,
        recurrent_gpu_bytes=states,
        recurrent_host_bytes=all_states - states,
        compute_gpu_bytes=compute_gpu * cards,
        compute_host_bytes=compute_host,
        context_overhead_bytes=profile.context_overhead_bytes * cards,
        margin_bytes=MARGIN_BYTES,
        projector_gpu_bytes=shape.projector_bytes,
    )


def _experts_moved(shape: Shape, plan: Plan, k: int) -> tuple[int, int]:
    """Experts of blocks on the GPU that stay in host memory: bytes there and here.

    ``--n-cpu-moe`` counts blocks from the front, ``--n-gpu-layers`` from the back.
    """
    first = shape.layers - k
    last = min(plan.cpu_moe_blocks, shape.layers)
    if last <= first:
        return 0, 0
    gpu, host = shape.experts_gpu_bytes, shape.experts_host_bytes
    return gpu[last] - gpu[first], host[last] - host[first]


def _widest_cache(shape: Shape, plan: Plan, room: Cells, k: int) -> int:
    """The largest cache of one block beside the last k."""
    here = {
        False: room.full if shape.kv_elements[-1] > shape.kv_elements[k] else 0,
        True: room.sliding if shape.sliding_elements[-1] > shape.sliding_elements[k] else 0,
    }
    sizes = (
        kv_bytes(phase.cached_elements, plan, here[phase.sliding])
        for phase in shape.phases
        if phase.cached_elements
    )
    return max(sizes, default=0)


def projector_bytes(file_bytes: int) -> int:
    """What a projector takes: its file, and half of it for the graph that encodes an image.

    An upper estimate: llama-server's own worst case is 1131 MiB for a file of 860 MiB and 1284 MiB
    for one of 857 MiB.
    """
    return file_bytes * 3 // 2
