"""Whether text reads on what lies behind it."""

from __future__ import annotations

from textual.style import Style

from modeldeck.themes.contrast import contrast_ratio

READABLE = 4.5
"""Contrast that text needs on its background (WCAG 2, level AA)."""


def reads_well(style: Style) -> bool:
    """Whether a colour made for the plain background also reads on the cursor's."""
    front, back = style.foreground, style.background
    if front is None or back is None:
        return True
    if style.reverse:
        return False
    if front.ansi is not None or back.ansi is not None:
        return True
    return contrast_ratio((back + front).rgb, back.rgb) >= READABLE
