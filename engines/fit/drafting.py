"""What is loaded beside a model: something that drafts for it, and adapters.

Drafting is a second context of llama.cpp beside the model's own. A draft model has its own weights,
a cache over the whole context (16 bits, whatever the model's type) and its own compute buffer; the
model's own blocks for multi-token prediction have the same. The model itself then computes more
logits, and a recurrent one keeps a copy of its state for each drafted token besides (``cache.py``).
The size that llama-server logs for a multi-token prediction context is only a part of this.

An adapter's tensors are where the tensors are that they change (``llama-adapter.cpp``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modeldeck.engines.fit.cache import cells_of, micro_batch
from modeldeck.engines.fit.compute import graph_bytes, logits_bytes
from modeldeck.engines.fit.profiles import LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Beside, Shape
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.fit.types import Bill
from modeldeck.engines.types import ALL_LAYERS, Plan

if TYPE_CHECKING:
    from modeldeck.engines.formats.adapter import AdapterSizes


def beside(shape: Shape, draft: Shape | None, adapters: Sequence[AdapterSizes]) -> Shape:
    """The same model with a draft model and adapters beside it."""
    return shape._replace(beside=Beside(draft, tuple(one.weights for one in adapters)))


def whole_bill(
    shape: Shape,
    plan: Plan,
    context_tokens: int,
    blocks_on_gpu: int | None,
    *,
    profile: EngineProfile = LLAMA_SERVER,
    cards: int = 1,
) -> Bill:
    """``bill`` with what is loaded beside the model; the arguments are the same."""
    terms = bill(shape, plan, context_tokens, blocks_on_gpu, profile=profile, cards=cards)
    if shape.beside is None and plan.draft is None:
        return terms
    on_card, in_memory = _drafting(shape, plan, context_tokens, profile, blocks_on_gpu is not None)
    here, elsewhere = _adapters(shape, plan, blocks_on_gpu)
    return terms._replace(
        draft_bytes=on_card,
        draft_host_bytes=in_memory,
        lora_bytes=here,
        lora_host_bytes=elsewhere,
    )


def _adapters(shape: Shape, plan: Plan, blocks_on_gpu: int | None) -> tuple[int, int]:
    """On the GPU and in host memory: with the tensors that they change."""
    tables = shape.beside.adapters if shape.beside is not None else ()
    total = sum(table.total_bytes for table in tables)
    if blocks_on_gpu is None:
        return 0, total
    first, padding, here = shape.layers - blocks_on_gpu, 0, 0
    for table in tables:
        here += table.output_bytes + table.other_bytes
        for block in table.blocks:
            if block.number < first:
                continue
            here += block.dense_bytes
            padding += block.cuda_padding_bytes
            if block.number >= plan.cpu_moe_blocks:
                here += block.expert_bytes
            else:
                padding -= block.expert_padding_bytes
    return here + padding, total - here


def _drafting(
    shape: Shape, plan: Plan, context_tokens: int, profile: EngineProfile, on_gpu: bool
) -> tuple[int, int]:
    """On the GPU, and in host memory: all that can be there, or nothing."""
    if plan.draft is None:
        return 0, 0
    draft = shape.beside.draft if shape.beside is not None else None
    if draft is not None:
        return draft_model_bytes(draft, plan, context_tokens, profile, on_gpu=on_gpu)
    size = prediction_bytes(shape, plan, context_tokens, profile)
    return (size, 0) if on_gpu else (0, size)


def draft_model_bytes(
    draft: Shape,
    plan: Plan,
    context_tokens: int,
    profile: EngineProfile = LLAMA_SERVER,
    *,
    on_gpu: bool = True,
) -> tuple[int, int]:
    """A draft model for the model's own plan: on the GPU, and in host memory."""
    blocks = draft.layers if on_gpu else None
    terms = bill(draft, draft_plan(plan), context_tokens, blocks, profile=profile)
    return terms.total_gpu_bytes - terms.context_overhead_bytes, terms.total_host_bytes


def prediction_bytes(
    shape: Shape, plan: Plan, context_tokens: int, profile: EngineProfile = LLAMA_SERVER
) -> int:
    """The model's own blocks for multi-token prediction; 0 when it has none."""
    if not shape.ahead_bytes:
        return 0
    own = draft_plan(plan)
    room = cells_of(shape, own, context_tokens, profile)
    tokens = micro_batch(own, context_tokens)
    compute = max(
        graph_bytes(shape, own, context_tokens, profile),
        logits_bytes(shape, own, tokens, profile),
    )
    return shape.ahead_bytes + 2 * shape.ahead_elements * room.full + compute


def draft_plan(plan: Plan) -> Plan:
    """The plan of what drafts for a model: 16 bits, all in one place, with nothing beside it."""
    everywhere = ALL_LAYERS if plan.gpu_layers else 0
    return plan._replace(
        kv_type="f16", cpu_moe_blocks=0, gpu_layers=everywhere, draft=None, adapters=()
    )
