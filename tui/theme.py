"""Turns theme data into Textual themes: every colour Textual would guess is set outright."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from textual.theme import Theme

from modeldeck.themes import ThemeData

# Textual's variable: the token it shows. Guessed ones would be blends of other colours, which
# neither an ANSI theme nor a terminal of 256 colours can show.
_VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "text": "foreground",
        "text-muted": "muted",
        "text-disabled": "dim",
        "text-primary": "primary",
        "text-secondary": "secondary",
        "text-success": "success",
        "text-warning": "warning",
        "text-error": "error",
        "text-accent": "primary",
        "foreground-muted": "muted",
        "foreground-disabled": "dim",
        "block-cursor-background": "cursor",
        "block-cursor-foreground": "cursor-text",
        "block-cursor-blurred-background": "cursor-blurred",
        "block-cursor-blurred-foreground": "foreground",
        "block-hover-background": "surface",
        "border": "primary",
        "border-blurred": "rule",
        "surface-lighten-2": "rule",
        "scrollbar": "rule",
        "scrollbar-hover": "muted",
        "scrollbar-active": "primary",
        "scrollbar-background": "background",
        "scrollbar-background-hover": "background",
        "scrollbar-background-active": "background",
        "scrollbar-corner-color": "background",
        "input-selection-background": "selection",
        "input-selection-foreground": "selection-text",
        "screen-selection-background": "selection",
        "screen-selection-foreground": "selection-text",
        "footer-key-foreground": "primary",
        "link-color": "primary",
        "link-color-hover": "cursor-text",
        "link-background-hover": "cursor",
        "markdown-h1-color": "primary",
        "markdown-h2-color": "primary",
        "markdown-h3-color": "primary",
        "markdown-h4-color": "foreground",
        "markdown-h5-color": "foreground",
        "markdown-h6-color": "muted",
        "ansi-background": "background",
        "ansi-foreground": "foreground",
    }
)


def textual_theme(data: ThemeData) -> Theme:
    """``data`` as Textual wants it; its tokens are variables too (``$verdict-fits``)."""

    def color(token: str) -> str:
        return f"ansi_{data.colors[token]}" if data.ansi else data.colors[token]

    variables = {token: color(token) for token in data.colors}
    variables |= {name: color(token) for name, token in _VARIABLES.items()}
    return Theme(
        name=data.name,
        dark=data.dark,
        ansi=data.ansi,
        primary=color("primary"),
        secondary=color("secondary"),
        accent=color("primary"),
        success=color("success"),
        warning=color("warning"),
        error=color("error"),
        foreground=color("foreground"),
        background=color("background"),
        surface=color("surface"),
        panel=color("panel"),
        boost=color("surface"),
        variables=variables,
    )


def textual_themes(themes: Iterable[ThemeData]) -> tuple[Theme, ...]:
    """All of ``themes``, in order."""
    return tuple(map(textual_theme, themes))
