"""A model's reasoning beside its answer: one line when folded, dim plain text when not."""

from __future__ import annotations

from textual.content import Content

from modeldeck.engines.text import clean
from modeldeck.tui.widgets.line_breaks import wrapped

LIVE_LINES = 3
_INDENT = Content("   ")
_STYLE = ".answer--reasoning"


def summary(seconds: float | None, tokens: int | None, *, thinking: bool, folded: bool) -> Content:
    """``▸ thought for 4.1 s, 139 tokens``; what nobody measured is left out."""
    words = "thinking" if thinking else "thought"
    if seconds is not None:
        words += f" {seconds:.0f} s" if thinking else f" for {seconds:.1f} s"
    if tokens is not None:
        words += f", {tokens} tokens"
    return Content.styled(f" {'▸' if folded else '▾'} {words}", _STYLE)


class Reasoning:
    """The text of the reasoning and its lines: growing, foldable."""

    def __init__(self) -> None:
        self.folded = True
        self.thinking = False
        self.seconds: float | None = None
        self.tokens: int | None = None
        self._whole: list[Content] = []
        self._source_lines: list[str] = [""]
        self._wrapped_to = 0
        self._width = -1

    def __bool__(self) -> bool:
        return any(self._source_lines)

    def append(self, text: str) -> None:
        """Add ``text`` at the end."""
        first, *more = clean(text).expandtabs(4).split("\n")
        if not self:
            first = first.lstrip()
        self._source_lines[-1] += first
        self._source_lines += more

    def _text_lines(self, width: int) -> list[Content]:
        if width != self._width:
            self._width, self._wrapped_to = width, 0
            self._whole.clear()
        complete = len(self._source_lines) - 1
        for source in self._source_lines[self._wrapped_to : complete]:
            self._whole += self._wrap(source, width)
        self._wrapped_to = complete
        last = self._source_lines[-1]
        return [*self._whole, *(self._wrap(last, width) if last.strip() else ())]

    @staticmethod
    def _wrap(source: str, width: int) -> list[Content]:
        lines = wrapped(Content(source), max(8, width - 4))
        return [_INDENT + line.stylize(_STYLE) for line in lines]

    def lines(self, width: int) -> list[Content]:
        """The summary, then the text when unfolded, or its last lines while it is written."""
        if not self:
            return []
        head = summary(self.seconds, self.tokens, thinking=self.thinking, folded=self.folded)
        if self.folded and not self.thinking:
            return [head]
        text = self._text_lines(width)
        return [head, *(text[-LIVE_LINES:] if self.folded else text)]
