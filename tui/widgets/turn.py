"""A message of a conversation, as the transcript is told it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of the past.

    Attributes:
        role: whose it is.
        text: plain text of the user, Markdown of a model.
        name: of the model that wrote it.
        reasoning: of the model, may be empty.
        note: how the answer ended, when that is worth saying (``stopped``).
        thought_seconds: how long the reasoning took, when that was measured.
        thought_tokens: tokens of the reasoning, when they were counted.
    """

    role: Literal["user", "assistant"]
    text: str
    name: str = ""
    reasoning: str = ""
    note: str = ""
    thought_seconds: float | None = None
    thought_tokens: int | None = None
