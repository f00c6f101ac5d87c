"""Colour themes as TOML, one file each, and their loader. Knows nothing of Textual.

A theme names its colours in ``[colors]``; with ``inherits`` it takes what it does not name from
another. Users put theirs into ``$XDG_CONFIG_HOME/modeldeck/themes/``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

COLORS: Final = (
    "primary",
    "secondary",
    "accent",
    "foreground",
    "background",
    "surface",
    "panel",
    "success",
    "warning",
    "error",
)
_HEX: Final = re.compile(r"#[0-9a-fA-F]{6}\Z")
_ANSI: Final = re.compile(
    r"ansi_(?:bright_)?(?:black|red|green|yellow|blue|magenta|cyan|white)\Z|ansi_default\Z"
)
DEFAULT: Final = "deck-dark"


@dataclass(frozen=True, slots=True)
class ThemeData:
    """One theme.

    Attributes:
        name: the file's stem.
        dark: made for a dark background.
        ansi: uses the terminal's own palette.
        colors: every name of ``COLORS`` to ``#rrggbb`` or ``ansi_…``.
        variables: further tokens, by name.
    """

    name: str
    dark: bool
    ansi: bool
    colors: Mapping[str, str]
    variables: Mapping[str, str]


def load_themes(user_dir: Path | None = None) -> tuple[tuple[ThemeData, ...], tuple[str, ...]]:
    """The packaged themes (the default first), then the user's, and the problems met.

    A file that cannot be used is one problem; the others still load. A user's theme of a packaged
    name takes its place.
    """
    problems: list[str] = []
    tables: dict[str, dict[str, Any]] = {}
    folders = [Path(__file__).parent, *([user_dir] if user_dir else [])]
    for folder in folders:
        for file in sorted(folder.glob("*.toml")):
            try:
                tables[file.stem] = tomllib.loads(file.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                problems.append(f"The theme {file.name} cannot be read ({error}); it is left out.")
    themes: list[ThemeData] = []
    for name in sorted(tables, key=lambda key: (key != DEFAULT, key)):
        try:
            themes.append(_theme(name, tables))
        except ValueError as error:
            problems.append(f"The theme {name} cannot be used ({error}); it is left out.")
    return tuple(themes), tuple(problems)


def _theme(name: str, tables: Mapping[str, Mapping[str, Any]]) -> ThemeData:
    merged = _inherited(name, tables, ())
    colors = merged.get("colors", {})
    missing = [key for key in COLORS if key not in colors]
    if missing:
        raise ValueError(f"no color for {', '.join(missing)}")
    for key, value in colors.items():
        if key not in COLORS:
            raise ValueError(f"there is no color called {key}")
        if not isinstance(value, str) or not (_HEX.match(value) or _ANSI.match(value)):
            raise ValueError(f"{key} is no color like #1a2b3c")
    variables = {str(key): str(value) for key, value in merged.get("variables", {}).items()}
    return ThemeData(
        name, bool(merged.get("dark", True)), bool(merged.get("ansi", False)), colors, variables
    )


def _inherited(
    name: str, tables: Mapping[str, Mapping[str, Any]], above: tuple[str, ...]
) -> dict[str, Any]:
    table = tables[name]
    parent = table.get("inherits")
    if parent is None:
        return dict(table)
    if parent not in tables or parent in (*above, name):
        raise ValueError(f"it inherits from {parent}, which cannot be")
    base = _inherited(parent, tables, (*above, name))
    merged = {**base, **table}
    for section in ("colors", "variables"):
        merged[section] = {**base.get(section, {}), **table.get(section, {})}
    return merged
