"""Bytes of the caches: keys and values for every token, states for every sequence.

Source: llama.cpp ``llama-kv-cache.cpp``, ``llama-kv-cache-iswa.cpp``,
``llama-memory-recurrent.cpp``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.types import KvType, Plan

_CELLS_STEP: Final = 256

# ggml: bytes of one block, and elements in it
KV_BLOCKS: Final[dict[KvType, tuple[int, int]]] = {
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


class Cells(NamedTuple):
    """How many tokens the caches have room for, over all sequences, and in one sequence's part.

    Attributes:
        full: blocks that cache the context.
        sliding: blocks that cache a window.
        full_seen: of ``full``, what one token attends to.
        sliding_seen: of ``sliding``, what one token attends to.
    """

    full: int
    sliding: int
    full_seen: int
    sliding_seen: int


def cells(context_tokens: int) -> int:
    """Cells of a unified cache: the context rounded up to a multiple of 256."""
    return -(-context_tokens // _CELLS_STEP) * _CELLS_STEP


def cells_of(
    shape: Shape, plan: Plan, context_tokens: int, profile: EngineProfile = LLAMA_SERVER
) -> Cells:
    """The cells of both kinds of cache.

    A window needs room for itself in every slot that shares the cache, and for a micro-batch.
    """
    if not shape.cached:
        tokens = micro_batch(plan, context_tokens)
        return Cells(0, 0, tokens, tokens)
    parts = 1 if profile.unified else plan.slots
    each = cells(-(-context_tokens // parts))
    window = each
    if shape.window_tokens and not plan.swa_full:
        sharing = plan.slots if profile.unified else 1
        room = shape.window_tokens * sharing + micro_batch(plan, context_tokens)
        window = cells(min(each, room))
    if not shape.reads_cache:
        tokens = micro_batch(plan, context_tokens)
        return Cells(each * parts, window * parts, tokens, tokens)
    return Cells(each * parts, window * parts, each, window)


def kv_bytes(elements_per_token: int, plan: Plan, context_tokens: int) -> int:
    """Bytes of a unified cache over the whole context, with that many elements per token."""
    return _bytes(cells(context_tokens) * elements_per_token, plan.kv_type)


def cache_bytes(shape: Shape, plan: Plan, room: Cells, k: int) -> int:
    """Keys and values of the last k blocks."""
    full, sliding = shape.kv_elements[k], shape.sliding_elements[k]
    if not plan.flash_attention:
        # V is stored transposed, and then every block's is as wide as the widest.
        full, sliding = shape.unflashed_elements[k], shape.unflashed_sliding_elements[k]
    return _bytes(full * room.full + sliding * room.sliding, plan.kv_type)


def state_bytes(shape: Shape, plan: Plan, k: int) -> int:
    """Recurrent state of the last k blocks; drafted tokens that may be taken back have copies."""
    return shape.state_bytes[k] * max(plan.slots, 1) * (1 + drafted(plan) * shape.rolls_back)


def outputs(plan: Plan) -> int:
    """Tokens whose next one is computed at once: of each slot one, and those drafted for it."""
    return min(plan.slots * (1 + drafted(plan)), plan.batch_tokens)


def drafted(plan: Plan) -> int:
    """Tokens guessed ahead at most; 0 when nothing drafts."""
    return plan.draft.tokens if plan.draft is not None else 0


def micro_batch(plan: Plan, context_tokens: int) -> int:
    """Tokens computed at once: the batch is cut to the context before that is rounded up."""
    return min(plan.micro_batch_tokens, plan.batch_tokens, context_tokens)


def _bytes(elements: int, kv_type: KvType) -> int:
    block_bytes, block_elements = KV_BLOCKS[kv_type]
    return elements * block_bytes // block_elements
