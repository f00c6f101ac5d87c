"""Holds what an engine made against what it was told to make."""

from __future__ import annotations

from collections.abc import Sequence

from modeldeck.engines.errors import LoadFailed
from modeldeck.engines.types import Plan


def require_planned(
    plan: Plan, context_tokens: int | None, slots: int | None, log_tail: Sequence[str]
) -> None:
    """Refuse a load whose verdict was for something else.

    Args:
        plan: what was asked for.
        context_tokens: what each slot can hold; None when the engine does not say.
        slots: how many there are; None when the engine does not say.
        log_tail: for the error.

    Raises:
        LoadFailed: the engine has rewritten the plan.
    """
    short = context_tokens is not None and context_tokens < plan.context_tokens // plan.slots
    if short or slots not in (None, plan.slots):
        made = f"{context_tokens} tokens of context in {slots or 1} slots"
        raise LoadFailed(
            f"The engine made {made}, where {plan.context_tokens} in {plan.slots} were asked for.",
            "Load it with a smaller context, or read the log for why.",
            tuple(log_tail),
        )
