"""Sampling parameters as the text they are kept as."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modeldeck.engines.chat import Sampling


def to_text(sampling: Sampling) -> str:
    """The parameters as JSON."""
    return json.dumps(sampling._asdict())


def from_text(text: str) -> Sampling:
    """Sampling as it was kept; what this version does not know is left out."""
    from modeldeck.engines.chat import Sampling

    known = frozenset(Sampling._fields)
    try:
        kept: dict[str, Any] = json.loads(text)
        return Sampling(**{name: value for name, value in kept.items() if name in known})
    except (ValueError, AttributeError):
        return Sampling()
