"""Phrase patterns: ``(stop|end) the {answer}`` stands for many phrases.

``(a|b|)`` picks one alternative (the empty one too), ``{name}`` a named pattern; both nest.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modeldeck.engines.errors import FormatError

_PIECE = re.compile(r"[()|]|\{\w+\}|[^()|{}]+|[{}]")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of ``options``, each a sequence of texts and choices. A parsed pattern is a Choice."""

    options: tuple[tuple[str | Choice, ...], ...]


def parse(pattern: str, words: Mapping[str, Choice]) -> Choice:
    """Parse ``pattern``; ``words`` are the named patterns it may use. Raises FormatError."""
    pieces = iter(_PIECE.findall(pattern))
    parsed, closed = _alternatives(pieces, pattern, words)
    if closed:
        raise FormatError(f"A ')' too many in the pattern {pattern!r}.", "Balance its brackets.")
    return parsed


def _alternatives(
    pieces: Iterator[str], pattern: str, words: Mapping[str, Choice]
) -> tuple[Choice, bool]:
    options: list[tuple[str | Choice, ...]] = []
    current: list[str | Choice] = []
    for piece in pieces:
        if piece == "(":
            inner, closed = _alternatives(pieces, pattern, words)
            if not closed:
                raise FormatError(f"A ')' is missing in {pattern!r}.", "Balance its brackets.")
            current.append(inner)
        elif piece in "|)":
            options.append(tuple(current))
            current = []
            if piece == ")":
                return Choice(tuple(options)), True
        elif piece.startswith("{"):
            name = piece[1:-1]
            if name not in words:
                raise FormatError(
                    f"The pattern {pattern!r} uses {piece}, which is not defined.",
                    "Add it to [words] in phrases.toml.",
                )
            current.append(words[name])
        else:
            current.append(piece)
    options.append(tuple(current))
    return Choice(tuple(options)), False


def parse_words(table: Mapping[str, str], known: Mapping[str, Choice]) -> dict[str, Choice]:
    """Named patterns, each of which may use ``known`` ones and those above it."""
    words = dict(known)
    for name, pattern in table.items():
        words[name] = parse(pattern, words)
    return words


def draw(choice: Choice, rng: random.Random) -> str:
    """One phrase of the pattern, with single spaces."""
    return " ".join(_drawn(choice, rng).split())


def _drawn(choice: Choice, rng: random.Random) -> str:
    option = choice.options[int(rng.random() * len(choice.options))]
    return "".join(part if isinstance(part, str) else _drawn(part, rng) for part in option)
