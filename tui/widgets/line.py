"""A line or two of text that is repainted only when it really changes."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Line(Static):
    """Text never repainted when it is the same; of fixed size unless its style says auto."""

    DEFAULT_CSS = """
    Line { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, text: Content | None = None, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(text or Content(), id=id, markup=False)
        self._shown = text or Content()
        self._shown_spans = self._shown.spans

    def show(self, text: Content) -> None:
        """Put ``text`` in place of what is shown."""
        if text.plain == self._shown.plain and text.spans == self._shown_spans:
            return
        self._shown, self._shown_spans = text, text.spans
        self.update(text, layout=self.styles.is_auto_height)
