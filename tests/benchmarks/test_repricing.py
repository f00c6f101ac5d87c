"""What a step in the options of a load costs: a new plan, its bill, and the advice."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path

import pytest

from modeldeck.engines.catalog.scan import model_at
from modeldeck.engines.fit.advice import advise
from modeldeck.engines.fit.cards import reference_card
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.search import answer
from modeldeck.engines.types import ModelHeader
from modeldeck.tui.load_options import NO_OFFERS, option_fields
from tests.support.gguf_files import llama_metadata, llama_tensors, write_gguf

pytestmark = pytest.mark.bench

BLOCKS = 60
STEPS = 200


def mixture(path: Path) -> ModelHeader:
    """A mixture of experts that is much too large for the card."""
    metadata = llama_metadata(
        blocks=BLOCKS, embedding=4096, feed_forward=1536, heads=32, kv_heads=8, context=131072
    )
    metadata |= {"llama.expert_count": 64, "llama.expert_used_count": 8}
    tensors = llama_tensors(
        blocks=BLOCKS, embedding=4096, feed_forward=1536, heads=32, kv_heads=8, experts=64
    )
    header = model_at(write_gguf(path, metadata, tensors)).header
    assert header is not None
    return header


def test_a_step_of_the_options(tmp_path: Path, measured: Callable[..., None]) -> None:
    header = mixture(tmp_path / "mixture.gguf")
    card = reference_card(64 << 30)
    contexts, layers = count(8192, 256), cycle(range(1, BLOCKS + 2))

    def step(options: FitOptions) -> float:
        begun = time.process_time()
        found = answer(header, options, card)
        advise(header, found, card)
        option_fields(options, found.plan, header, NO_OFFERS)
        return (time.process_time() - begun) * 1000

    steps: dict[str, Callable[[], FitOptions]] = {
        "the context": lambda: FitOptions(context_tokens=next(contexts)),
        "the cache": lambda: FitOptions(context_tokens=next(contexts), kv_type="q8_0"),
        "the layers": lambda: FitOptions(context_tokens=8192, gpu_layers=next(layers)),
    }
    for what, one in steps.items():
        costs = [step(one()) for _ in range(STEPS)]
        unit = "ms of the processor"
        measured(f"a step of {what} in the options, 60 blocks", *costs, unit=unit, limit=5)
