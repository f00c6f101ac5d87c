"""The plan that a model is loaded with when nobody says otherwise."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.fit.companions import ALONE, Companions, with_companions
from modeldeck.engines.fit.shape import Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import flash_attention_on_cuda, projector_bytes, refusal
from modeldeck.engines.fit.types import Card
from modeldeck.engines.fit.verdict import judge_shape
from modeldeck.engines.types import HParam, KvType, ModelHeader, Plan
from modeldeck.engines.units import GIB

# For models without a verdict: compute buffer, CUDA context and margin, generously.
_AMPLE_BYTES: Final = 2 * GIB


def plan_for(
    header: ModelHeader,
    card: Card,
    context_tokens: int,
    kv_type: KvType,
    has_gpu: bool,
    companions: Companions = ALONE,
) -> Plan:
    """What to load a model with here: as much on the GPU as fits, else on the CPU.

    The context is capped at the trained one, and what llama.cpp would refuse (a cache type for
    these head sizes, flash attention where CUDA has no kernel) is replaced by what works.

    Args:
        header: the model.
        card: what is free now.
        context_tokens: wanted, over all slots.
        kv_type: wanted.
        has_gpu: the engine can use a GPU; without one the plan is for the CPU.
        companions: what is loaded with it.
    """
    if header.context_length > 0:
        context_tokens = min(context_tokens, header.context_length)
    plan = Plan(context_tokens=max(context_tokens, 1), kv_type=kv_type)
    shape = shape_of(header)
    if isinstance(shape, Unjudged):
        room = card._replace(
            free_bytes=card.free_bytes - projector_bytes(companions.projector_file_bytes)
        )
        fits = has_gpu and _surely_fits(header, plan, room)
        return plan if fits else plan._replace(gpu_layers=0)
    if has_gpu and not flash_attention_on_cuda(shape):
        plan = plan._replace(flash_attention=False)
    if refusal(shape, plan):
        plan = plan._replace(kv_type="f16")
    if not has_gpu:
        return plan._replace(gpu_layers=0)
    whole = with_companions(shape, companions)
    if isinstance(whole, Unjudged):
        return plan._replace(gpu_layers=0)
    verdict = judge_shape(whole, plan, card)
    # On the CPU flash attention takes any head size.
    return plan._replace(
        gpu_layers=verdict.gpu_layers,
        cpu_moe_blocks=verdict.cpu_moe_blocks,
        split=verdict.split,
        flash_attention=plan.flash_attention or not verdict.gpu_layers,
    )


def _surely_fits(header: ModelHeader, plan: Plan, card: Card) -> bool:
    """It fits by any reckoning: as if every block cached every head in full."""
    weights = header.weights
    copies = weights.token_embedding_bytes if weights.output_tied else 0

    def largest(key: str) -> int:
        return _largest(header.hparams.get(f"{header.architecture}.{key}"))

    heads = max(largest("attention.head_count"), largest("attention.head_count_kv"))
    width = largest("embedding_length")
    if not (heads and width and largest("block_count")):
        return False
    key_length = max(largest("attention.key_length"), width // heads)
    value_length = max(largest("attention.value_length"), width // heads)
    per_token = 2 * largest("block_count") * heads * (key_length + value_length)
    cache = per_token * (plan.context_tokens + 255)
    return weights.total_bytes + copies + cache + _AMPLE_BYTES <= card.free_bytes


def _largest(value: HParam | None) -> int:
    """The number, or the largest of a layered one; 0 for anything else."""
    values = value if isinstance(value, tuple) else (value,)
    return max((number for number in values if isinstance(number, int)), default=0)
