"""Which flags a build of ``llama-server`` knows, from its own ``--help``. Pure.

llama.cpp adds, renames and drops flags between builds, and ends with an error at one it does not
know; so what an older or newer build lacks is left out or said in its own way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FLAG = re.compile(r"(?<![\w<\[|-])--?[a-z][a-z-]*")
_FIRST_OF_LINE = re.compile(r"^\s*-")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a build wants to be told.

    Attributes:
        flags: all it knows, short and long; None when unknown: taken to know today's.
        flash_attention_takes_value: ``-fa on`` rather than a bare ``-fa`` (builds before
            August 2025).
        verbosity_has_levels: ``-lv`` counts from error to debug; before, anything over 0 was debug.
    """

    flags: frozenset[str] | None = None
    flash_attention_takes_value: bool = True
    verbosity_has_levels: bool = True

    def knows(self, flag: str) -> bool:
        """Whether ``flag`` may be given."""
        return self.flags is None or flag in self.flags


MODERN = Dialect()
"""A build of today."""


def dialect_of(help_lines: Sequence[str]) -> Dialect:
    """Read the answer to ``--help``. One that names no ``--model`` says nothing: ``MODERN``."""
    flags: set[str] = set()
    flash_takes_value = False
    for line in help_lines:
        if _FIRST_OF_LINE.match(line):
            # Flags stand before the first wide gap; prose after it may mention others.
            names = _FLAG.findall(re.split(r"(?<=[^\s,])\s{2,}", line.strip(), maxsplit=1)[0])
            flags.update(names)
            if "--flash-attn" in names:
                flash_takes_value = "on|off" in line
    if "--model" not in flags:
        return MODERN
    return Dialect(
        frozenset(flags), flash_takes_value, any("4: trace" in line for line in help_lines)
    )
