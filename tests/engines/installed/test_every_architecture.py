"""The bill of every architecture beside llama.cpp's own library, on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.fit.architectures import ARCHITECTURES
from tests.support.llama_keys import keys_of
from tests.support.llama_lab import Asked, ask
from tests.support.llama_table import differences

pytestmark = pytest.mark.engines

# llama.cpp's own test of all architectures leaves these out too: their tensors do not add up.
NOT_BUILT = frozenset({"plm", "rwkv6qwen2"})

CONTEXTS = [
    Asked(),
    Asked(flash_attention=False),
    Asked(context_tokens=16384, slots=4, kv_type="q8_0"),
    Asked(context_tokens=16384, micro_batch_tokens=2048),
    Asked(context_tokens=8192, swa_full=True),
]
SEPARATE = Asked(context_tokens=8192, slots=2, unified=False, micro_batch_tokens=256)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - NOT_BUILT))
def test_what_it_takes_is_what_the_bill_says(tools: Path, name: str) -> None:
    keys = keys_of(name)
    # Separate caches change how MiniMax-M3 chooses blocks; there is no closed form for that.
    contexts = CONTEXTS if name == "minimax-m3" else [*CONTEXTS, SEPARATE]
    [answer] = ask(tools / "libllama.so", [(keys, contexts)])
    assert differences(keys, contexts, answer) == []
