"""Reads themes from TOML: the built-in ones, then the user's. A bad file never hides the others.

A file looks like this; whatever it leaves out it has from the theme it inherits::

    inherits = "deck-dark"
    dark = true

    [colors]
    primary = "#ffb454"
"""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from modeldeck.themes.types import TOKENS, ThemeData

DEFAULT_THEME: Final = "deck-dark"
_ORDER: Final = ("deck-dark", "deck-light", "deck-ansi", "deck-contrast")
_LARGEST_FILE_BYTES: Final = 64 * 1024
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_HEX: Final = re.compile(r"#[0-9a-fA-F]{6}")
_HUES: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
ANSI_NAMES: Final = frozenset({"default", *_HUES, *(f"bright_{hue}" for hue in _HUES)})


class _Bad(Exception):
    """A theme cannot be used; the text says why and what to do, after the file's name."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One theme file as written."""

    inherits: str | None
    dark: bool | None
    ansi: bool | None
    colors: Mapping[str, str]


def load_themes(user_dir: Path | None = None) -> tuple[tuple[ThemeData, ...], tuple[str, ...]]:
    """All themes, the default one first, and the problems met: one sentence or two for each file.

    A user's theme takes the place of a built-in one of the same name, and may inherit from it.

    Args:
        user_dir: where the user's ``*.toml`` themes are; it need not exist.
    """
    built_in, problems = _read_all(Path(__file__).parent.glob("*.toml"))
    users: dict[str, _Source] = {}
    if user_dir is not None:
        try:
            files = [path for path in user_dir.iterdir() if path.suffix == ".toml"]
        except (FileNotFoundError, NotADirectoryError):
            files = []
        except OSError as error:
            files = []
            problems.append(f"The themes in {_shown(user_dir)} cannot be read: {error.strerror}.")
        users, more = _read_all(files)
        problems += more
    themes: dict[str, ThemeData] = {}
    for name in (*_ORDER, *sorted(users.keys() - set(_ORDER))):
        if name in users:
            try:
                themes[name] = _resolved(name, built_in, users)
                continue
            except _Bad as bad:
                problems.append(f"The theme {name}.toml is left out: {bad}")
        if name in built_in:
            themes[name] = _resolved(name, built_in, {})
    return tuple(themes.values()), tuple(problems)


def _read_all(files: Iterable[Path]) -> tuple[dict[str, _Source], list[str]]:
    sources: dict[str, _Source] = {}
    problems: list[str] = []
    for path in sorted(files):
        try:
            sources[path.stem] = _read(path)
        except _Bad as bad:
            problems.append(f"The theme {_shown(path.name)} is left out: {bad}")
    return sources, problems


def _read(path: Path) -> _Source:
    if not _NAME.fullmatch(path.stem):
        raise _Bad("its name may have a-z, 0-9, _ and - only; rename it.")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE_BYTES:
            raise _Bad("it is no regular file of at most 64 KiB; put the theme's TOML there.")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _Bad(f"it cannot be read ({error.strerror}); check its permissions.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _Bad(f"it is no TOML ({_shown(error)}); correct it.") from error
    return _source_of(table)


def _source_of(table: Mapping[str, Any]) -> _Source:
    for key in table:
        _known(key, ("inherits", "dark", "ansi", "colors"), "setting")
    inherits, dark, ansi = table.get("inherits"), table.get("dark"), table.get("ansi")
    if not isinstance(inherits, str | None):
        raise _Bad('inherits is a theme\'s name: write inherits = "deck-dark".')
    if not isinstance(dark, bool | None) or not isinstance(ansi, bool | None):
        raise _Bad("dark and ansi are true or false.")
    given: object = table.get("colors", {})
    if not isinstance(given, dict):
        raise _Bad("colors is a table: write [colors], then a line for each colour.")
    colors: dict[str, str] = {}
    for token, color in cast("dict[str, object]", given).items():
        _known(token, TOKENS, "colour")
        if not isinstance(color, str):
            raise _Bad(f'{token} is no text: write a colour like "#7fb4d8".')
        colors[token] = color
    return _Source(inherits, dark, ansi, colors)


def _known(name: str, names: Iterable[str], what: str) -> None:
    names = tuple(names)
    if name not in names:
        import difflib  # for mistakes alone

        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}."
        raise _Bad(f"it has no {what} called {_shown(name)}; {hint}")


def _resolved(
    name: str, built_in: Mapping[str, _Source], users: Mapping[str, _Source]
) -> ThemeData:
    """The theme ``name`` over all it inherits, checked."""
    chain: list[_Source] = []
    seen: set[tuple[str, bool]] = set()
    here: str | None = name
    child: str | None = None
    while here is not None:
        # What inherits from its own name means the built-in theme of that name.
        is_users = here in users and here != child
        source = users[here] if is_users else built_in.get(here)
        if source is None:
            raise _Bad(f"there is no theme {_shown(here)} to inherit from; name another.")
        if (here, is_users) in seen:
            raise _Bad("it inherits from itself in the end; name a built-in theme instead.")
        seen.add((here, is_users))
        chain.append(source)
        child = here
        here = source.inherits or (DEFAULT_THEME if is_users else None)
    dark = next((source.dark for source in chain if source.dark is not None), True)
    ansi = next((source.ansi for source in chain if source.ansi is not None), False)
    colors: dict[str, str] = {}
    for source in reversed(chain):
        colors.update(source.colors)
    for token in TOKENS:
        if token not in colors:
            raise _Bad(f"it has no colour for {token}; add it, or inherit from a built-in theme.")
        _check(token, colors[token], ansi)
    return ThemeData(name, dark, ansi, MappingProxyType({t: colors[t] for t in TOKENS}))


def _check(token: str, color: str, ansi: bool) -> None:
    if ansi and color not in ANSI_NAMES:
        raise _Bad(
            f"{token} is {_shown(color)}; an ANSI theme has default, red, bright_red and so on."
        )
    if not ansi and not _HEX.fullmatch(color):
        raise _Bad(f"{token} is {_shown(color)}; write a colour like #7fb4d8.")


def _shown(what: object) -> str:
    """A few words of a file's own text, for a message: one line, printable, short."""
    text = "".join(c if c.isprintable() else " " for c in str(what))
    return text if len(text) <= 80 else text[:79] + "…"
