"""Keys as people write them and as Textual names them (``textual.keys``), without Textual."""

from __future__ import annotations

import unicodedata
from typing import Final

_NAMED: Final = frozenset(
    {"escape", "enter", "tab", "space", "backspace", "delete", "insert", "home", "end"}
    | {"pageup", "pagedown", "up", "down", "left", "right"}
    | {f"f{number}" for number in range(1, 13)}
)
_ALSO_CALLED: Final = {
    "esc": "escape",
    "return": "enter",
    "del": "delete",
    "ins": "insert",
    "pgup": "pageup",
    "page_up": "pageup",
    "pgdn": "pagedown",
    "page_down": "pagedown",
    "spacebar": "space",
}
_MODIFIERS: Final = {"ctrl": "ctrl", "control": "ctrl", "alt": "alt", "shift": "shift"}
# Textual's own names for six characters; the others go by their Unicode name.
_SHORT: Final = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}


def _named(character: str) -> str | None:
    """What Textual calls a character that is no letter and no digit."""
    name = unicodedata.name(character, "").lower().replace("-", "_").replace(" ", "_")
    return _SHORT.get(name, name) or None


_CHARACTERS: Final = {
    _named(character): character
    for character in map(chr, range(ord("!"), ord("~") + 1))
    if not character.isalnum()
}


def key_name(key: str) -> str:
    """How a key is written for people: ``question_mark`` is ``?``, ``escape`` is ``esc``."""
    *modifiers, last = _parts(key)
    shown = "esc" if last == "escape" else _CHARACTERS.get(last, last)
    return "+".join((*modifiers, shown))


def key_code(written: str) -> str | None:
    """Textual's name of the key that a person means, or None when there is no such key.

    ``?`` is ``question_mark``, ``Esc`` is ``escape``, ``shift+g`` and ``G`` are ``G``, ``Ctrl+O``
    is ``ctrl+o``.
    """
    *modifiers, last = _parts(written if len(written) == 1 else written.strip())
    code = _code_of(last)
    held = {_MODIFIERS.get(modifier.strip().lower()) for modifier in modifiers}
    if code is None or None in held:
        return None
    if len(code) == 1 and held:
        if held == {"shift"}:
            return code.upper()
        code = code.lower()
    return "+".join((*sorted(filter(None, held)), code))


def _parts(text: str) -> list[str]:
    """The modifiers and the key; the key may itself be ``+``."""
    if text == "+":
        return ["+"]
    if text.endswith("++"):
        return [*text[:-2].split("+"), "+"]
    return text.split("+")


def _code_of(part: str) -> str | None:
    part = part.strip() or part
    if len(part) == 1:
        if part == " ":
            return "space"
        if part.isalnum():
            return part
        return _named(part)
    name = part.lower().replace(" ", "_")
    name = _ALSO_CALLED.get(name, name)
    return name if name in _NAMED or name in _CHARACTERS else None
