"""How an answer ended, in the words that stay under it."""

from __future__ import annotations

from typing import Final

from modeldeck.engines.types import StopReason, Usage

CONTEXT_FULL: Final = "stopped: the context is full"
LIMIT_REACHED: Final = "stopped at the token limit"
_SPARE_TOKENS: Final = 1
"""llama.cpp ends an answer when the next token would be the last that fits."""


def ending_note(reason: StopReason | None, usage: Usage | None, context_tokens: int | None) -> str:
    """What is worth saying of an answer that ended without an error; empty for a natural end.

    Args:
        reason: why the engine stopped.
        usage: what the answer took, when the engine says so.
        context_tokens: what the model was loaded with.
    """
    if reason != "length":
        return ""
    if usage is None or context_tokens is None:
        return LIMIT_REACHED
    used = usage.prompt_tokens + usage.completion_tokens
    return CONTEXT_FULL if used >= context_tokens - _SPARE_TOKENS else LIMIT_REACHED
