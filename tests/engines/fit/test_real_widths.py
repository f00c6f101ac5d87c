"""Bills at the widths of real models beside the real llama.cpp, with options that are not usual."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.llama_lab import Asked, ask
from tests.support.llama_table import differences
from tests.support.real_widths import REAL, real_keys

pytestmark = pytest.mark.real

CONTEXTS = [
    Asked(context_tokens=2048, micro_batch_tokens=2048),
    Asked(context_tokens=2048, micro_batch_tokens=64, slots=8),
    Asked(context_tokens=4096, flash_attention=False, micro_batch_tokens=1024),
    Asked(context_tokens=8192, kv_type="f32"),
]


def test_what_a_real_model_takes_is_what_the_bill_says() -> None:
    spec = importlib.util.find_spec("xllamacpp.xllamacpp")
    assert spec is not None
    assert spec.origin is not None
    keys = [real_keys(name) for name in REAL]
    answers = ask(Path(spec.origin), [(each, CONTEXTS) for each in keys])
    wrong = [
        line
        for each, answer in zip(keys, answers, strict=True)
        for line in differences(each, CONTEXTS, answer)
    ]
    assert wrong == []
