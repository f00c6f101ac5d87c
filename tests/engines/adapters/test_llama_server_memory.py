"""More cache than a process may have: the real engine fails, and says what the deck reads."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.errors import LoadFailed
from modeldeck.engines.out_of_memory import shortage_of
from modeldeck.engines.types import LocalModel, Plan

GIB = 1 << 30


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Processes started now may not have more than 8 GiB of addresses."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 * GIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("little_memory")
async def test_the_log_of_a_real_failure_is_understood(slow_model: LocalModel) -> None:
    engine = LlamaServerEngine()
    try:
        with pytest.raises(LoadFailed) as caught:
            await engine.load(slow_model, Plan(context_tokens=1 << 20, gpu_layers=0))
    finally:
        await engine.close()
    shortage = shortage_of(caught.value.log_tail)
    assert shortage is not None, caught.value.log_tail
    assert shortage.what == "the KV cache"
    assert shortage.on_host
    assert "the host's memory ran out for the KV cache" in caught.value.cause
    assert shortage.asked_bytes > 8 * GIB
