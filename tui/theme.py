"""Theme data as Textual takes it."""

from __future__ import annotations

from collections.abc import Iterable

from textual.theme import Theme

from modeldeck.themes import ThemeData


def textual_theme(data: ThemeData) -> Theme:
    """One theme. Surfaces of a terminal palette stay the terminal's own background."""
    colors = data.colors
    return Theme(
        name=data.name,
        primary=colors["primary"],
        secondary=colors["secondary"],
        accent=colors["accent"],
        foreground=colors["foreground"],
        background=colors["background"],
        surface=colors["surface"],
        panel=colors["panel"],
        boost="ansi_default" if data.ansi else None,
        success=colors["success"],
        warning=colors["warning"],
        error=colors["error"],
        dark=data.dark,
        ansi=data.ansi,
        variables=dict(data.variables),
    )


def textual_themes(themes: Iterable[ThemeData]) -> tuple[Theme, ...]:
    """All of them, in order."""
    return tuple(textual_theme(data) for data in themes)
