"""How an answer ended, in the words that stay under it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from modeldeck.engines.chat import StopReason, Usage
from modeldeck.engines.store.conversations import Message, Outcome, State

if TYPE_CHECKING:
    from modeldeck.engines.meter import Reading
    from modeldeck.tui.reply import ReplyEnd

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


def usage_so_far(reading: Reading) -> Usage | None:
    """What a reply took that the engine was not let end; None where it had not counted it.

    Engines say what a reply took at its end. Those that send their totals with every piece have
    said it before.
    """
    prompt, made, mean = reading.prompt_tokens, reading.completion_tokens, reading.decode_mean
    if prompt is None or made is None or mean is None or mean.source != "engine":
        return None
    return Usage(prompt, made, reading.cached_tokens or 0, None)


def outcome_of(end: ReplyEnd, context_tokens: int | None) -> Outcome:
    """What is kept of the end of a reply by a model with so much context."""
    state: State = "done"
    if end.error is not None:
        state = "failed"
    elif end.reason == "cancelled":
        state = "stopped"
    return Outcome(
        state,
        end.error.cause if end.error else ending_note(end.reason, end.usage, context_tokens),
        end.usage or usage_so_far(end.reading),
        end.reading.first_token_ns,
        end.reading.thought_ns,
        end.reading.thought_tokens,
    )


def closed(message: Message, outcome: Outcome, text: str, reasoning: str) -> Message:
    """An answer as it will be read back from the store, whether or not it could be kept yet."""
    return replace(
        message,
        text=text,
        reasoning=reasoning,
        state=outcome.state,
        error=outcome.error,
        prompt_tokens=outcome.usage.prompt_tokens if outcome.usage else None,
        completion_tokens=outcome.usage.completion_tokens if outcome.usage else None,
        thought_ns=outcome.thought_ns,
        thought_tokens=outcome.thought_tokens,
    )
