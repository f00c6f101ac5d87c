"""How much of the context the next prompt will take, known before it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from textual.content import Content

from modeldeck.engines.reading_pace import is_cjk
from modeldeck.engines.types import ChatMessage
from modeldeck.engines.units import tokens_text

_CHARACTERS_PER_TOKEN: Final = 4
_TEMPLATE_TOKENS: Final = 4
_TIGHT: Final = 0.9
"""From this share of the context on there is little room left for an answer."""


@dataclass(frozen=True, slots=True)
class NextPrompt:
    """A prompt as it would be sent now.

    Attributes:
        text: what the user has written.
        tokens: of the whole prompt, the conversation before it and the template included.
        context_tokens: what the model was loaded with.
        exact: counted by the engine; otherwise estimated.
    """

    text: str
    tokens: int
    context_tokens: int
    exact: bool

    @property
    def fits(self) -> bool:
        """Whether it fits with room for at least one token of an answer. An estimate may err."""
        return self.tokens < self.context_tokens

    @property
    def tight(self) -> bool:
        """Whether little room is left for the answer."""
        return self.tokens >= self.context_tokens * _TIGHT

    @property
    def meter(self) -> Content:
        """``next 812 of 8k``; an estimate has ``~``."""
        tokens = f"{'' if self.exact else '~'}{self.tokens:,}"
        style = "bold $error" if not self.fits else "$warning" if self.tight else "$text-muted"
        return Content.styled(f"next {tokens} of {tokens_text(self.context_tokens)}", style)

    def advice(self, new_key: str, context_key: str) -> Content:
        """What to do about a prompt that does not fit; nothing when it does."""
        if self.fits:
            return Content()
        about = "" if self.exact else "about "
        return Content.assemble(
            (f" ✕ {about}{self.tokens:,} tokens of {self.context_tokens:,}", "bold $error"),
            (": shorten it, ", "$text-muted"),
            (new_key, "bold $primary"),
            (" new chat, ", "$text-muted"),
            (context_key, "bold $primary"),
            (" in Models", "$text-muted"),
        )


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
