"""How long llama.cpp takes to size a model without loading it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modeldeck.engines.catalog.reading import outlines_of
from modeldeck.engines.fit.dry_runner import DryRunner
from modeldeck.engines.types import Plan
from tests.support.large_headers import write_eight_billion

pytestmark = pytest.mark.bench


def test_a_dry_run_is_soon_answered(tmp_path: Path, measured: Callable[..., None]) -> None:
    path = write_eight_billion(tmp_path / "8b.gguf")
    runner = DryRunner()
    contexts = iter(range(2048, 65536, 2048))

    def seconds() -> float:
        begun = time.perf_counter()
        runner.run(outlines_of([path]), Plan(context_tokens=next(contexts), gpu_layers=0))
        return time.perf_counter() - begun

    try:
        first = seconds()
        measured("the first dry run, which starts the worker", first, unit="s")
        measured(
            "a dry run of an 8B-class header, the worker up",
            *(seconds() for _ in range(9)),
            unit="s",
            limit=0.5,
        )
    finally:
        runner.close()
