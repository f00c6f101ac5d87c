"""Where a line of text may break: between words, and between the characters of CJK text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rich.cells import cell_len, split_graphemes
from textual.content import Content

_CJK: Final = "\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff01-\uffef\U00020000-\U0003fffd"
_OPEN: Final = "（「『《〈【〔［｛"
_CLOSE: Final = "，。、；：！？）」』》〉】〕］｝…％"

# One piece that stays together. An opening bracket keeps what follows, closing punctuation never
# starts a line (kinsoku), and spaces belong to what they follow.
_PIECE: Final = re.compile(rf"[{_OPEN}]*(?:[{_CJK}]|[^\s{_CJK}]+)?[{_CLOSE}]*\s*")


def _folded(piece: str, width: int) -> Iterator[int]:
    """Offsets within ``piece``, too wide for a line, where it must be cut."""
    used = 0
    for start, _end, cells in split_graphemes(piece)[0]:
        if used and used + cells > width:
            yield start
            used = 0
        used += cells


def break_offsets(text: str, width: int) -> list[int]:
    """Offsets at which ``text`` (one line) is cut so that each part takes at most ``width`` cells.

    Spaces at the end of a part do not count: they are not drawn. A single character wider than
    ``width`` stands alone.
    """
    if width < 1 or (len(text) <= width and text.isascii()):
        return []
    offsets: list[int] = []
    used = 0
    for match in _PIECE.finditer(text):
        piece = match.group()
        word = piece.rstrip()
        cells = cell_len(word)
        if used and word and used + cells > width:
            offsets.append(match.start())
            used = 0
        if cells > width:
            tail = 0
            for cut in _folded(word, width):
                offsets.append(match.start() + cut)
                tail = cut
            used += cell_len(piece[tail:])
        else:
            used += cell_len(piece)
    return offsets


def wrapped(line: Content, width: int) -> list[Content]:
    """``line`` (without newlines) as lines of at most ``width`` cells, styles kept."""
    offsets = break_offsets(line.plain, width)
    if not offsets:
        return [line.rstrip()] if line.plain.endswith(" ") else [line]
    return [part.rstrip() for part in line.divide(offsets)]


def folded(line: Content, width: int) -> list[Content]:
    """``line`` cut at exactly ``width`` cells, wherever that falls: for code."""
    if width < 1 or line.cell_length <= width:
        return [line]
    return list(line.divide(list(_folded(line.plain, width))))
