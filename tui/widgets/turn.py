"""A message of a conversation, as the transcript is told it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual.content import Content


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
        fork: which of how many messages at this place it is (``2/3``); empty when it is alone.
        thought_tokens: tokens of the reasoning, when they were counted.
        images: a line for each image shown with it.
    """

    role: Literal["user", "assistant"]
    text: str
    name: str = ""
    reasoning: str = ""
    note: str = ""
    thought_seconds: float | None = None
    thought_tokens: int | None = None
    fork: str = ""
    images: tuple[str, ...] = ()


def named(name: str, name_style: str, fork: str, fork_style: str) -> Content:
    """The line above a message: whose it is, and which of several branches."""
    return Content.assemble((f" {name}", name_style), (f"  {fork}" if fork else "", fork_style))
