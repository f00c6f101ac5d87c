"""Predicted rates of a plan: decoding at depth 0 and at the end of the context, and prefill."""

from __future__ import annotations

from typing import Final, NamedTuple

from modeldeck.engines.fit.decode import decode_rate
from modeldeck.engines.fit.prefill import prefill_rate
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.token_cost import token_cost
from modeldeck.engines.fit.types import Card, Rates
from modeldeck.engines.types import Plan

PROMPT_TOKENS: Final = 512
"""Length of the prompt that prefill is predicted for: llama-bench's pp512."""


class Speeds(NamedTuple):
    """Predicted tokens per second; None where a figure that it takes is not known.

    Attributes:
        decode: with an empty context.
        decode_at_context: with the plan's whole context in the cache.
        prefill: of a prompt of 512 tokens in an empty context.
    """

    decode: Rates | None
    decode_at_context: Rates | None
    prefill: Rates | None


def speeds(
    shape: Shape,
    plan: Plan,
    card: Card,
    blocks_on_gpu: int | None,
    *,
    cards: int = 1,
    engine: str = "llama_server",
) -> Speeds:
    """How fast this plan runs with its last ``blocks_on_gpu`` blocks on the GPU.

    Args:
        shape: the model.
        plan: where the experts are, the cache's type, the context and the micro-batch.
        card: the GPU, and the host beside it.
        blocks_on_gpu: 0 is the output layer alone; None: no GPU.
        cards: alike, sharing the GPU's part evenly.
        engine: adapter name.
    """
    on = [] if blocks_on_gpu is None else [(card, 1 / cards)] * cards
    prompt = token_cost(shape, plan, blocks_on_gpu, PROMPT_TOKENS // 2)
    return Speeds(
        decode_rate(token_cost(shape, plan, blocks_on_gpu, 0), on, card.host, engine),
        decode_rate(
            token_cost(shape, plan, blocks_on_gpu, plan.context_tokens), on, card.host, engine
        ),
        prefill_rate(
            prompt,
            on,
            card.host,
            micro_batch_tokens=plan.micro_batch_tokens,
            prompt_tokens=PROMPT_TOKENS,
            engine=engine,
        ),
    )


def decode_rates(shape: Shape, card: Card) -> Rates | None:
    """Decode rate with all of the model on the card and no context yet."""
    return decode_rate(token_cost(shape, Plan(), shape.layers, 0), [(card, 1.0)], card.host)
