"""One of each kind of architecture beside the real llama.cpp; all of them are in ``installed``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.llama_keys import keys_of
from tests.support.llama_lab import Asked, ask
from tests.support.llama_table import differences

pytestmark = pytest.mark.real

KINDS = {
    "llama": "dense",
    "gemma3": "a window on most blocks",
    "gpt-oss": "a window and experts",
    "qwen3moe": "experts",
    "deepseek2": "one compressed row for K and V",
    "qwen35": "recurrent blocks among attention",
    "mamba2": "recurrent alone",
    "falcon-h1": "both in every block",
    "gemma3n": "blocks that share a cache",
    "nemotron_h": "blocks that have neither",
    "starcoder2": "no gate",
    "bert": "no cache",
}
CONTEXTS = [
    Asked(),
    Asked(flash_attention=False),
    Asked(context_tokens=8192, slots=4, kv_type="q8_0"),
    Asked(context_tokens=8192, swa_full=True),
]


def test_what_a_model_takes_is_what_the_bill_says() -> None:
    spec = importlib.util.find_spec("xllamacpp.xllamacpp")
    assert spec is not None
    assert spec.origin is not None
    keys = [keys_of(name) for name in KINDS]
    answers = ask(Path(spec.origin), [(each, CONTEXTS) for each in keys])
    wrong = [
        line
        for each, answer in zip(keys, answers, strict=True)
        for line in differences(each, CONTEXTS, answer)
    ]
    assert wrong == []
