"""Holds what an engine made against what it was told to make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from modeldeck.engines.errors import LoadFailed
from modeldeck.engines.types import Plan

_NO_DRAFT: Final = "failed to initialize speculative decoding context"


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


def require_drafting(plan: Plan, log: Sequence[str]) -> None:
    """Refuse a load where llama.cpp goes on without what was to draft.

    Args:
        plan: what was asked for.
        log: of the load.

    Raises:
        LoadFailed: the log says that nothing drafts (``server-context.cpp``, ``load_model``).
    """
    if plan.draft is not None and any(_NO_DRAFT in line for line in log):
        raise LoadFailed(
            "The draft model does not fit this model: their vocabularies differ.",
            "Load it without a draft, or with a small model of the same family.",
            tuple(log[-20:]),
        )
