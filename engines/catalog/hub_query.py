"""What is looked for on the Hub, as people type it: words of names, others cut it down. Pure.

``author:NAME``, ``task:NAME`` and ``params:RANGE`` may stand among the words; a range is written
``7B-14B``, ``<9B`` or ``>30B``.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.text import clean_line

_NUMBER: Final = r"(\d{1,6}(?:\.\d{1,3})?)([KMBT]?)"
_BETWEEN: Final = re.compile(rf"{_NUMBER}-{_NUMBER}", re.IGNORECASE)
_BELOW: Final = re.compile(rf"<{_NUMBER}", re.IGNORECASE)
_ABOVE: Final = re.compile(rf">{_NUMBER}", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 3, "M": 6, "B": 9, "T": 12}


class Query(NamedTuple):
    """A search, taken apart.

    Attributes:
        text: to look for in names; empty for everything.
        author: whose; empty for anybody's.
        task: as the Hub calls it; empty for any.
        least_parameters: of the model; 0 for any.
        most_parameters: of the model; 0 for any.
    """

    text: str = ""
    author: str = ""
    task: str = ""
    least_parameters: int = 0
    most_parameters: int = 0


def parse_query(text: str) -> Query:
    """Take a search apart; the last of several words of a kind counts.

    Raises:
        ModelNotFound: a range makes no sense; says how one is written.
    """
    query, words = Query(), list[str]()
    for word in text.split():
        kind, colon, value = word.partition(":")
        match kind.lower() if colon and value else "":
            case "author":
                query = query._replace(author=value)
            case "task":
                query = query._replace(task=value)
            case "params":
                least, most = _range(value)
                query = query._replace(least_parameters=least, most_parameters=most)
            case _:
                words.append(word)
    return query._replace(text=" ".join(words))


def _range(text: str) -> tuple[int, int]:
    if found := _BETWEEN.fullmatch(text):
        least, most = _number(found[1], found[2]), _number(found[3], found[4])
        if 0 < least <= most:
            return least, most
    elif found := _BELOW.fullmatch(text):
        return 0, _number(found[1], found[2])
    elif found := _ABOVE.fullmatch(text):
        return _number(found[1], found[2]), 0
    raise ModelNotFound(
        f"“{clean_line(text, 40)}” is no range of parameters.", "Write it like 7B-14B, <9B or >30B."
    )


def _number(digits: str, letter: str) -> int:
    return round(float(digits) * 10.0 ** _POWERS[letter.upper()])
