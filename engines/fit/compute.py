"""The compute buffer: what one evaluation of the graph needs beside weights and cache.

Source: llama.cpp ``llama-context.cpp`` (the worst case is reserved: a full micro-batch over a full
cache), ``llama-graph.cpp``. Coefficients were settled against its own dry run and against buffers
that it prints on real cards.
"""

from __future__ import annotations

from modeldeck.engines.fit.cache import Cells, cells_of, kv_bytes, micro_batch, outputs
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.types import Plan


def graph_bytes(
    shape: Shape, plan: Plan, context_tokens: int, profile: EngineProfile = LLAMA_SERVER
) -> int:
    """The compute buffer when every block is on one GPU."""
    room = cells_of(shape, plan, context_tokens, profile)
    tokens = micro_batch(plan, context_tokens)
    return graph_within(shape, plan, room, tokens, profile)


def graph_within(
    shape: Shape,
    plan: Plan,
    room: Cells,
    tokens: int,
    profile: EngineProfile,
    copied_experts: bool = False,
    on_gpu: bool = True,
) -> int:
    """The same for cells that are at hand.

    The peak over the phases of the graph, the attention mask living through all of them.
    """
    widest = widest_phase(shape, plan, room, tokens, copied_experts, on_gpu)
    peak = masks_within(shape, plan, room, tokens, profile) + widest
    return max(logits_bytes(shape, plan, tokens, profile), peak)


def widest_phase(
    shape: Shape,
    plan: Plan,
    room: Cells,
    tokens: int,
    copied_experts: bool = False,
    on_gpu: bool = True,
) -> int:
    """The most that any part of the graph keeps alive, without the mask.

    Args:
        shape: the model.
        plan: everything but the context.
        room: the cells.
        tokens: of a micro-batch.
        copied_experts: experts in host memory are copied to the GPU, one tensor at a time.
        on_gpu: the GPU computes; the CPU takes a quantised cache as it is.
    """
    most = 0
    flash = plan.flash_attention and shape.flash_attention
    unpacked = flash and (plan.kv_type == "f32" or (on_gpu and plan.kv_type != "f16"))
    for phase in shape.phases:
        size = 4 * tokens * phase.per_token
        size += 4 * phase.states * plan.slots
        if phase.scores:
            size += int(4 * tokens * phase.scores * room.full_seen) * (1 if flash else 2)
        if phase.heads:
            if unpacked:
                # one layer's cache, back in f16 for the kernel
                size += 2 * phase.cached_elements * (room.sliding if phase.sliding else room.full)
            elif not flash:
                seen = room.sliding_seen if phase.sliding else room.full_seen
                size += 4 * tokens * phase.heads * seen
                size += kv_bytes(phase.turned, plan, room.full)
            if phase.flash_scores and flash and plan.slots == 1:
                size += 4 * tokens * phase.flash_scores * room.full_seen
        elif copied_experts and phase.copied_per_token:
            copied = 4 * tokens * phase.copied_per_token + shape.largest_expert_bytes
            # The blocks whose experts are on the GPU still run as they did.
            all_copied = plan.cpu_moe_blocks >= shape.layers
            size = copied if all_copied else max(size, copied)
        most = max(most, size)
    return most


def logits_bytes(shape: Shape, plan: Plan, tokens: int, profile: EngineProfile) -> int:
    """The last part of the graph: the tokens whose next one is asked for."""
    asked = tokens if profile.outputs_follow_batch else min(tokens, outputs(plan))
    return 4 * asked * (shape.vocabulary + shape.embedding)


def masks_within(shape: Shape, plan: Plan, room: Cells, tokens: int, profile: EngineProfile) -> int:
    """The attention masks: f16 for flash attention, f32 without; a window has its own.

    Without flash attention V is stored turned, and every number of it has an index beside the mask.
    """
    flash = plan.flash_attention and shape.flash_attention
    element_bytes = profile.mask_bytes if flash else 4
    caches = int(bool(shape.kv_elements[-1] or not shape.cached))
    seen = room.full_seen * caches
    if shape.sliding_elements[-1]:
        seen += room.sliding_seen
        caches += 1
    indexed = profile.value_indices and not flash and room.full
    indices = 8 * caches * shape.widest_values if indexed else 0
    return tokens * (element_bytes * seen + indices)
