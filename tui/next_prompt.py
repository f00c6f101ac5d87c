"""How much of the context the next prompt will take, known before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from textual.content import Content

from modeldeck.engines.units import tokens_text
from modeldeck.tui.context_use import ContextUse

_TIGHT: Final = 0.9
"""From this share of the context on there is little room left for an answer."""


@dataclass(frozen=True, slots=True)
class NextPrompt:
    """A prompt as it would be sent now.

    Attributes:
        text: what the user has written.
        use: the whole prompt, the conversation before it and the template included.
        context_tokens: what the model was loaded with.
    """

    text: str
    use: ContextUse
    context_tokens: int

    @property
    def fits(self) -> bool:
        """Whether it fits with room for at least one token of an answer.

        An estimate may err, and images that nobody counted come on top.
        """
        return self.use.tokens < self.context_tokens

    @property
    def tight(self) -> bool:
        """Whether little room is left for the answer."""
        return self.use.tokens >= self.context_tokens * _TIGHT

    @property
    def meter(self) -> Content:
        """``next 812 of 8k``; an estimate has ``~``, what is not counted follows a plus."""
        tokens = f"{'' if self.use.exact else '~'}{self.use.tokens:,}{self.use.more}"
        style = "bold $error" if not self.fits else "$warning" if self.tight else "$text-muted"
        return Content.styled(f"next {tokens} of {tokens_text(self.context_tokens)}", style)

    def advice(self, new_key: str, context_key: str) -> Content:
        """What to do about a prompt that does not fit; nothing when it does."""
        if self.fits:
            return Content()
        about = "" if self.use.exact else "about "
        return Content.assemble(
            (f" ✕ {about}{self.use.tokens:,} tokens of {self.context_tokens:,}", "bold $error"),
            (": shorten it, ", "$text-muted"),
            (new_key, "bold $primary"),
            (" new chat, ", "$text-muted"),
            (context_key, "bold $primary"),
            (" in Models", "$text-muted"),
        )
