"""llama.cpp gives up on one of its own checks: the process is gone, the deck is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.errors import EngineDied, LoadFailed
from modeldeck.engines.testing import ask, question, words_of
from modeldeck.engines.types import LocalModel, Plan
from tests.engines.conftest import local_model
from tests.support.random_model import make_aborting_model

pytestmark = pytest.mark.real

PLAN = Plan(context_tokens=512, threads=1, gpu_layers=0)


async def two_words(engine: LlamaServerEngine, model: LocalModel) -> str:
    """Load a model and have it say something."""
    loaded = await engine.load(model, PLAN)
    return words_of(await ask(engine, question(loaded, max_tokens=2)))


async def test_the_check_is_named_and_the_next_load_works(
    tiny_model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    engine = LlamaServerEngine()
    aborting = local_model(make_aborting_model(tiny_model.path, tmp_path / "aborts.gguf"))
    try:
        with pytest.raises((LoadFailed, EngineDied)) as ended:
            await two_words(engine, aborting)

        assert "gave up on its own check (eps >= 0.0f)" in ended.value.cause
        assert any("GGML_ASSERT" in line for line in ended.value.log_tail)
        assert not await engine.models()
        assert await two_words(engine, tiny_model)
    finally:
        await engine.close()
