"""What drafting takes: a second context of llama.cpp beside the model's own.

The draft has its own weights, a cache over the whole context (16 bits, whatever the model's type)
and its own compute buffer; a recurrent model keeps a copy of its state for each drafted token
besides (``bill``'s ``rollback_tokens``). The size that llama-server logs for a multi-token
prediction context is only a part of this.
"""

from __future__ import annotations

from modeldeck.engines.fit.cache import cells_of, micro_batch
from modeldeck.engines.fit.compute import graph_bytes, logits_bytes
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.types import Plan


def draft_model_bytes(
    draft: Shape, plan: Plan, context_tokens: int, profile: EngineProfile = LLAMA_SERVER
) -> int:
    """A draft model with all of it on the GPU, for the model's own plan."""
    own = plan._replace(kv_type="f16", cpu_moe_blocks=0)
    terms = bill(draft, own, context_tokens, draft.layers, profile=profile)
    return terms.total_gpu_bytes - terms.context_overhead_bytes


def prediction_bytes(
    shape: Shape, plan: Plan, context_tokens: int, profile: EngineProfile = LLAMA_SERVER
) -> int:
    """The model's own blocks for multi-token prediction; 0 when it has none."""
    if not shape.ahead_bytes:
        return 0
    own = plan._replace(kv_type="f16", cpu_moe_blocks=0)
    room = cells_of(shape, own, context_tokens, profile)
    tokens = micro_batch(own, context_tokens)
    compute = max(
        graph_bytes(shape, own, context_tokens, profile),
        logits_bytes(shape, own, tokens, profile),
    )
    return shape.ahead_bytes + 2 * shape.ahead_elements * room.full + compute
