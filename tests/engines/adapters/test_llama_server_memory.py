"""A cache that no machine has memory for: the real engine fails, and says what the deck reads."""

from __future__ import annotations

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.errors import LoadFailed
from modeldeck.engines.fit.shortage import shortage_of
from modeldeck.engines.types import LocalModel, Plan


async def test_the_log_of_a_real_failure_is_understood(tiny_model: LocalModel) -> None:
    engine = LlamaServerEngine()
    try:
        with pytest.raises(LoadFailed) as caught:
            await engine.load(tiny_model, Plan(context_tokens=1_900_000_000, gpu_layers=0))
    finally:
        await engine.close()
    shortage = shortage_of(caught.value.log_tail)
    assert shortage is not None
    assert shortage.what == "the KV cache"
    assert shortage.asked_bytes > 1 << 38
