"""Plans whose compute buffer the formula does not always meet. The list of architectures is data.

Builds of llama.cpp differ by a copy of a micro-batch's inputs, and where its allocator puts a
tensor depends on what else is alive: with large micro-batches either makes more than 32 MiB.
"""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Final

from modeldeck.engines.types import Plan

USUAL_TOKENS: Final = 512
"""A micro-batch that is not large."""


@functools.cache
def _rough() -> frozenset[str]:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)["architectures"])


def is_rough(architecture: str, plan: Plan) -> bool:
    """Whether a compute buffer may be further off than 5 % and 32 MiB.

    Then llama.cpp itself is asked where it can be, without anybody wanting it.
    """
    return plan.micro_batch_tokens > USUAL_TOKENS or architecture in _rough()
