"""What the file of an adapter says, and what it takes beside a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.catalog.adapters import adapter_at, adapters_in
from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.errors import FormatError, ModelNotFound
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import HeaderCache
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.types import Source
from tests.support.gguf_files import F16, Tensor, Value, write_gguf, write_llama
from tests.support.random_adapter import make_random_adapter
from tests.support.random_model import TINY

LORA: dict[str, Value] = {
    "general.type": "adapter",
    "general.architecture": "llama",
    "adapter.type": "lora",
}


def test_bytes_are_told_by_where_they_go(tmp_path: Path) -> None:
    sizes = adapter_at(make_random_adapter(tmp_path / "lora.gguf", rank=8))
    width, vocabulary = TINY.width, TINY.vocabulary
    attention = 2 * 8 * (2 * width + width + width // 2)
    assert sizes.architecture == "llama"
    weights = sizes.weights
    blocks = [(block.number, block.dense_bytes) for block in weights.blocks]
    assert blocks == [(0, attention), (1, attention)]
    assert weights.output_bytes == weights.token_embedding_bytes == 2 * 8 * (vocabulary + width)


def test_vectors_of_norms_are_not_kept(tmp_path: Path) -> None:
    tensors = [Tensor("blk.0.attn_q.weight.lora_a", (32, 4)), Tensor("output_norm.weight", (32,))]
    tensors += [Tensor("blk.0.attn_q.weight.lora_b", (4, 32))]
    sizes = adapter_at(write_gguf(tmp_path / "a.gguf", LORA, tensors))
    assert sizes.weights.total_bytes == sum(t.size_bytes for t in tensors if "lora" in t.name)


@pytest.mark.parametrize(
    ("change", "tensor", "why"),
    [
        ({"general.type": "model"}, "blk.0.a.weight.lora_a", "no adapter"),
        ({"adapter.type": "x\x1b"}, "blk.0.a.weight.lora_a", "of the kind “x”"),
        ({}, "blk.0.a.weight", "other tensors"),
    ],
)
def test_what_llama_cpp_does_not_apply_is_refused(
    tmp_path: Path, change: dict[str, Value], tensor: str, why: str
) -> None:
    path = write_gguf(tmp_path / "a.gguf", LORA | change, [Tensor(tensor, (32, 4), F16)])
    with pytest.raises(FormatError, match=why):
        adapter_at(path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="cannot be read"):
        adapter_at(tmp_path / "gone.gguf")


def test_adapters_are_found_where_models_are(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "deep").mkdir(parents=True)
    lora = make_random_adapter(models / "deep" / "any-name.gguf")
    write_llama(models / "model.gguf")
    write_gguf(models / "broken-lora.gguf", LORA, [Tensor("x", (32,))])
    with_cache = HeaderCache(Database.open(tmp_path / "deck.db", SCHEMAS))
    places = [Place(Source.FOLDER, models)]
    assert [model.name for model in scan(places, with_cache).models] == ["model"]
    assert [found.path for found in adapters_in(places, with_cache)] == [lora]
