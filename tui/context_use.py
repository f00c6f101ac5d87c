"""How much of the context the conversation shown takes: counted, or estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modeldeck.engines.chat import ChatMessage
from modeldeck.engines.reading_pace import is_cjk
from modeldeck.tui.branch import Branch

_CHARACTERS_PER_TOKEN: Final = 4
_TEMPLATE_TOKENS: Final = 4


@dataclass(frozen=True, slots=True)
class ContextUse:
    """Tokens in the context.

    Attributes:
        tokens: of all that could be counted.
        exact: the engine that is loaded counted them; otherwise they are estimated.
        images: shown, too, and not in ``tokens``: nobody could say what they take.
    """

    tokens: int
    exact: bool
    images: int = 0

    @property
    def more(self) -> str:
        """What comes on top: `` + image``, `` + 2 images``, or nothing."""
        if not self.images:
            return ""
        return " + image" if self.images == 1 else f" + {self.images} images"


def use_by_memory(branch: Branch, system_prompt: str) -> ContextUse | None:
    """What is known of a branch without asking an engine: an estimate.

    The counts kept with its newest counted answer, perhaps by another model's vocabulary, and the
    rule of thumb for what was said since. None where nothing was said.
    """
    for at, message in reversed(list(enumerate(branch.messages))):
        if message.prompt_tokens is not None and message.completion_tokens is not None:
            since = Branch(branch.messages[at + 1 :])
            told = since.as_told("", sees_images=True)
            counted = message.prompt_tokens + message.completion_tokens
            return ContextUse(counted + estimate(told), False, images_in(told))
    told = branch.as_told(system_prompt, sees_images=True)
    return ContextUse(estimate(told), False, images_in(told)) if branch.messages else None


def images_in(messages: Sequence[ChatMessage]) -> int:
    """How many images are shown."""
    return sum(len(message.images) for message in messages)


def estimate(messages: Sequence[ChatMessage]) -> int:
    """Tokens of a conversation, by the rule of thumb that vocabularies are built around.

    Four characters a token, one for a CJK letter, and four tokens of template for each message:
    within some thirty per cent for prose, more for code.
    """
    tokens = 0
    for message in messages:
        wide = sum(map(is_cjk, message.content)) if not message.content.isascii() else 0
        rest = len(message.content) - wide
        tokens += wide + -(-rest // _CHARACTERS_PER_TOKEN) + _TEMPLATE_TOKENS
    return tokens
