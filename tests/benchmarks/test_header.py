"""Reading a header with a large vocabulary, against the package that defines the format."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest

from modeldeck.engines.formats.gguf import read_gguf
from modeldeck.engines.formats.header import header_of
from modeldeck.engines.formats.source import open_regular
from tests.support.gguf_files import llama_metadata, llama_tensors, write_gguf
from tests.support.measures import interleaved

pytestmark = pytest.mark.bench

TOKENS = 150_000
MIB = 1 << 20
RESIDENT = """
import resource, sys
from modeldeck.engines.formats import gguf, header, source
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
with source.open_regular(__import__("pathlib").Path(sys.argv[1])) as opened:
    assert header.header_of([gguf.read_gguf(opened)]).vocabulary_size == int(sys.argv[2])
print((peak() - before) * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    dims = {"blocks": 40, "embedding": 5120, "feed_forward": 17408, "heads": 40, "kv_heads": 8}
    metadata = {
        **llama_metadata(name="large", context=40960, file_type=15, tokens=1, **dims),
        "tokenizer.ggml.tokens": [f"token {number}" for number in range(TOKENS)],
        "tokenizer.ggml.token_type": [1] * TOKENS,
    }
    tensors = llama_tensors(ggml_type=12, tied=False, tokens=TOKENS, **dims)
    return write_gguf(tmp_path / "large.gguf", metadata, tensors)


def test_a_large_vocabulary_is_no_burden(large: Path, measured: Callable[..., None]) -> None:
    def ours() -> float:
        begun = time.perf_counter()
        with open_regular(large) as source:
            header = header_of([read_gguf(source)])
        assert header.vocabulary_size == TOKENS
        return time.perf_counter() - begun

    def package() -> float:
        begun = time.perf_counter()
        gguf.GGUFReader(large)
        return time.perf_counter() - begun

    ours()
    rounds = interleaved(3, ours, package)
    measured(
        "a GGUF header with 150,000 tokens: the time of the gguf package's reader over ours",
        *(theirs / mine for mine, theirs in rounds),
        sense="at least",
        limit=100,
    )
    tracemalloc.start()
    ours()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    measured("memory that Python took for it", peak_bytes / MIB, unit="MiB", limit=32)
    grown = subprocess.run(
        [sys.executable, "-c", RESIDENT, str(large), str(TOKENS)],
        check=True,
        capture_output=True,
        text=True,
    )
    measured("growth of a process by it", int(grown.stdout) / MIB, unit="MiB", limit=32)
