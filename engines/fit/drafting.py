"""What multi-token prediction takes: a second context of llama.cpp over blocks of the model's own.

It has its weights, a cache over the whole context (16 bits, whatever the model's type) and its own
compute buffer; a recurrent model keeps a copy of its state for each drafted token besides
(``bill``'s ``rollback_tokens``). The size that llama-server logs for such a context is only a part
of this. A draft model of its own is a term of ``bill``.
"""

from __future__ import annotations

from modeldeck.engines.fit.cache import cells_of, micro_batch
from modeldeck.engines.fit.compute import graph_bytes, logits_bytes
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.types import Plan


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
