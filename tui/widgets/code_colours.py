"""Source code in few colours: a handful of token kinds, so that a line costs few bytes."""

from __future__ import annotations

from textual.content import Content
from textual.highlight import HighlightTheme, highlight


class _FewColours(HighlightTheme):
    """Keywords, strings, numbers and comments (by Pygments' token types); the rest is plain."""

    STYLES = {  # noqa: RUF012
        ("Keyword",): ".markdown--keyword",
        ("Operator", "Word"): ".markdown--keyword",
        ("Literal", "String"): ".markdown--string",
        ("Literal", "Number"): ".markdown--number",
        ("Comment",): ".markdown--comment",
    }


def coloured(code: str, language: str) -> Content:
    """``code`` coloured as ``language``; an unknown language leaves it plain."""
    content = highlight(code, language=language, theme=_FewColours)
    return Content(content.plain, [span for span in content.spans if span.style != "$text"])
