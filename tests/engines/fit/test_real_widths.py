"""Bills at the widths of real models beside the real llama.cpp, with options that are not usual."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.fit.sizing_library import packaged_library
from tests.support.llama_lab import Asked, ask
from tests.support.llama_table import differences
from tests.support.real_widths import real_keys

pytestmark = pytest.mark.real

KINDS = (
    *("gemma2", "gemma4", "gemma3n", "gpt-oss", "qwen3moe", "qwen35", "deepseek2", "mamba2"),
    *("falcon-h1", "granitehybrid"),
)
CONTEXTS = [
    Asked(context_tokens=2048, micro_batch_tokens=2048),
    Asked(context_tokens=2048, micro_batch_tokens=64, slots=8),
    Asked(context_tokens=4096, flash_attention=False, micro_batch_tokens=1024),
    Asked(context_tokens=8192, kv_type="f32"),
]


@pytest.fixture(scope="module")
def library() -> Path:
    found = packaged_library()
    assert found is not None
    return found


def test_what_a_real_model_takes_is_what_the_bill_says(library: Path) -> None:
    keys = [real_keys(name) for name in KINDS]
    answers = ask(library, [(each, CONTEXTS) for each in keys])
    wrong = [
        line
        for each, answer in zip(keys, answers, strict=True)
        for line in differences(each, CONTEXTS, answer)
    ]
    assert wrong == []
