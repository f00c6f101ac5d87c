"""What the header of a model that is not here costs over the wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modeldeck.engines.formats.gguf import read_gguf
from modeldeck.engines.formats.http_source import HttpSource
from modeldeck.engines.formats.web import web_of
from tests.support.file_server import serving
from tests.support.gguf_files import header_bytes, llama_metadata, llama_tensors

pytestmark = pytest.mark.bench

TOKENS = 150_000


def test_a_remote_header_costs_little_more_than_its_bytes(measured: Callable[..., None]) -> None:
    dims = {"blocks": 40, "embedding": 5120, "feed_forward": 17408, "heads": 40, "kv_heads": 8}
    metadata = {
        **llama_metadata(name="large", context=40960, file_type=15, tokens=1, **dims),
        "tokenizer.ggml.tokens": [f"token {number}" for number in range(TOKENS)],
        "tokenizer.ggml.merges": [f"to ken {number}" for number in range(TOKENS)],
    }
    header = header_bytes(metadata, llama_tensors(ggml_type=12, tied=False, tokens=8, **dims))
    with serving({"/m.gguf": header}) as server, web_of() as web:
        server.length = len(header) + (16 << 30)
        with HttpSource(web, f"{server.url}/m.gguf") as source:
            assert read_gguf(source).data_offset == len(header)
    measured(
        "a remote GGUF header with 150,000 tokens: bytes over the wire over its size",
        server.wire_bytes / len(header),
        limit=1.25,
    )
    measured("requests that it takes", len(server.seen), unit="requests", limit=20)
