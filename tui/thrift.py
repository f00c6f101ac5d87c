"""Fewer bytes for the same screen: a change of style says only what changes.

Textual begins every piece of text from the terminal's own style and goes back to it: in true colour
some forty bytes for a piece, though its neighbour mostly has the same background.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

_STYLE: Final = re.compile(r"\x1b\[([\d;]*)m")
# What may stand between two pieces without showing the style it is sent in.
_GAP: Final = re.compile(r"(?:\n|\x1b\[\d+;\d+H)*")
_DEFAULT: Final = ("", "0")
_OFF: Final = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "9": "29"}
_COLOUR_CELLS: Final = {"2": 5, "5": 3}


class _Look(NamedTuple):
    attributes: frozenset[str]
    foreground: str
    background: str


def shorter(text: str) -> str:
    """``text`` for a terminal, with shorter changes of style: the screen becomes the same.

    ``text`` begins and ends in the terminal's own style, as every frame of Textual's does. What is
    not understood is left as it is.
    """
    if text.count("\x1b[0m") < 2:
        return text
    return "".join(_pieces(text))


def _pieces(text: str) -> Iterator[str]:
    end = 0
    now: str | None = ""  # the style that the terminal is in; None when that is not known
    reset_at: int | None = None  # a return to the terminal's own style that is not sent yet
    for match in _STYLE.finditer(text):
        between = text[end : match.start()]
        end = match.end()
        style = match[1]
        if reset_at is None:
            yield between
        elif style not in _DEFAULT and now is not None and _GAP.fullmatch(between):
            yield between + change(now, style)
            now, reset_at = style, None
            continue
        else:
            yield f"\x1b[0m{between}"
            now, reset_at = "", None
        if style in _DEFAULT:
            reset_at = match.start()
        else:
            yield match[0]
            now = style if now == "" else None
    if reset_at is not None:
        yield "\x1b[0m"
    yield text[end:]


@lru_cache(4096)
def change(before: str, after: str) -> str:
    """The shortest sequence that takes a terminal from one style to the other.

    Both are what stands between ``ESC [`` and ``m``, told from the terminal's own style.
    """
    if before == after:
        return ""
    anew = f"\x1b[0;{after}m"
    old, new = _look(before), _look(after)
    if old is None or new is None:
        return anew
    codes: list[str] = []
    kept = old.attributes
    for code in sorted({_OFF[attribute] for attribute in old.attributes - new.attributes}):
        codes.append(code)
        kept = frozenset(attribute for attribute in kept if _OFF[attribute] != code)
    codes += sorted(new.attributes - kept)
    if old.foreground != new.foreground:
        codes.append(new.foreground or "39")
    if old.background != new.background:
        codes.append(new.background or "49")
    differing = f"\x1b[{';'.join(codes)}m" if codes else ""
    return min(differing, anew, key=len)


@lru_cache(4096)
def _look(style: str) -> _Look | None:
    attributes: set[str] = set()
    colours = {"3": "", "4": ""}
    codes = style.split(";")
    while codes:
        code = codes[0]
        cells = 1
        if code in ("38", "48") and len(codes) > 1 and codes[1] in _COLOUR_CELLS:
            cells = _COLOUR_CELLS[codes[1]]
            colours[code[0]] = ";".join(codes[:cells])
        elif re.fullmatch(r"[34][0-79]|(?:9|10)[0-7]", code):
            is_background = code.startswith(("4", "10"))
            colours["4" if is_background else "3"] = code
        elif code in _OFF:
            attributes.add(code)
        else:
            return None
        if len(codes) < cells:
            return None
        del codes[:cells]
    return _Look(frozenset(attributes), colours["3"], colours["4"])
