"""How an engine that is not installed answers a probe."""

from __future__ import annotations

from modeldeck.engines.errors import EngineMissing
from modeldeck.engines.types import Probe


def missing_probe(missing: EngineMissing) -> Probe:
    """Not here, and what would install it."""
    return Probe(
        False,
        problem=missing.cause,
        next_step=missing.next_step,
        installed=False,
        command=missing.command,
    )
