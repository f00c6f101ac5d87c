"""The compute buffer: what one evaluation of the graph needs beside weights and cache.

Source: llama.cpp ``llama-context.cpp`` (the worst case is reserved: a full micro-batch over a full
cache), ``llama-graph.cpp``. Coefficients were settled against its own dry run and against buffers
that it prints on real cards.
"""

from __future__ import annotations

from modeldeck.engines.fit.cache import Cells, cells_of, kv_bytes, micro_batch, outputs
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Phase, Shape
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
    cast = flash and plan.kv_type == "f32"
    unpacked = flash and on_gpu and plan.kv_type not in {"f16", "f32"}
    for phase in shape.phases:
        if phase.fused and not on_gpu:
            continue
        size = 4 * tokens * phase.per_token
        size += 4 * phase.states * plan.slots
        cells = room.sliding if phase.sliding else room.full
        if not shape.reads_cache:
            cells = room.full_seen
        # One layer's cache, back in f16 for the kernel; unpacked, it stays behind the result.
        once_more = 2 * phase.cached_elements * cells * (cast or unpacked)
        if flash and phase.result:
            size += _result_on_top(phase, room, tokens, once_more, unpacked)
        else:
            times = 2.5 if not flash and phase.scores >= 1 else 1
            size += int(4 * tokens * phase.scores * room.full_seen * times)
            if phase.heads:
                large = once_more
                if not flash:
                    seen = room.sliding_seen if phase.sliding else room.full_seen
                    large = 4 * tokens * phase.heads * seen
                    large += kv_bytes(phase.turned, plan, room.full)
                beside = on_gpu and (unpacked or not phase.below_unpacked)
                if beside and large > 4 * tokens * phase.below > 0:
                    size = max(size, 4 * tokens * phase.below)
                size += large
            elif unpacked:
                size += once_more
        if phase.heads and phase.flash_scores and flash and plan.slots == 1:
            size += 4 * tokens * phase.flash_scores * room.full_seen
        if copied_experts and phase.copied_per_token:
            copied = 4 * tokens * phase.copied_per_token + shape.largest_expert_bytes
            # The blocks whose experts are on the GPU still run as they did.
            all_copied = plan.cpu_moe_blocks >= shape.layers
            size = copied if all_copied else max(size, copied)
        most = max(most, size)
    return most


def _result_on_top(phase: Phase, room: Cells, tokens: int, once_more: int, unpacked: bool) -> int:
    """Attention's result over compressed rows, where it has no room below.

    It is as large as the queries' compressed half, in whose place it fits to the byte: not where
    that is taken, and not with an unpacked cache behind it.
    """
    taken = once_more > 4 * tokens * phase.spare
    if phase.hole:
        taken = taken or phase.scores * room.full_seen > phase.hole
    elif not phase.spare:
        taken = taken and unpacked
    return 4 * tokens * phase.result + once_more if taken else 0


def logits_bytes(shape: Shape, plan: Plan, tokens: int, profile: EngineProfile) -> int:
    """The last part of the graph: the tokens whose next one is asked for."""
    every = profile.outputs_follow_batch or shape.every_output
    asked = tokens if every else min(tokens, outputs(plan))
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
    return tokens * (element_bytes * seen + indices) + indexer_mask(shape, room, tokens)


def indexer_mask(shape: Shape, room: Cells, tokens: int) -> int:
    """The mask of an indexer's cache, of 16 bits always."""
    return 2 * tokens * room.full_seen * any(phase.scores for phase in shape.phases)
