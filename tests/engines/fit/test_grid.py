"""One model in every quantisation at every context."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.grid import grid
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.quants import QUANTS, bits_per_weight, requantised
from modeldeck.engines.fit.types import VerdictKind
from modeldeck.engines.fit.variants import contexts_for, same_model, variants
from modeldeck.engines.types import LocalModel, Source
from tests.support.decks import dense
from tests.support.gguf_files import F16, Q8_0, llama_metadata, llama_tensors, write_gguf

DIMS = {
    "blocks": 32,
    "embedding": 4096,
    "feed_forward": 14336,
    "heads": 32,
    "kv_heads": 8,
    "tokens": 4096,
}


def made(folder: Path, name: str, ggml_type: int, file_type: int) -> None:
    write_gguf(
        folder / f"{name}.gguf",
        llama_metadata(name="Model 8B", context=32768, file_type=file_type, **DIMS),
        llama_tensors(ggml_type=ggml_type, tied=False, **DIMS),
    )


@pytest.fixture
def models(tmp_path: Path) -> dict[str, LocalModel]:
    made(tmp_path, "Model-8B-Q8_0", Q8_0, 7)
    made(tmp_path, "Model-8B-F16", F16, 1)
    dense(tmp_path, "Other-8B", blocks=32, embedding=4096)
    return {model.name: model for model in scan([Place(Source.FOLDER, tmp_path)]).models}


def test_files_of_one_model_are_its_variants(models: dict[str, LocalModel]) -> None:
    assert same_model(models["Model-8B-Q8_0"], models["Model-8B-F16"])
    assert not same_model(models["Model-8B-Q8_0"], models["Other-8B"])
    found = variants(models["Model-8B-Q8_0"], models.values())
    here = {variant.quantisation for variant in found if not variant.estimated}
    assert here == {"Q8_0", "F16"}
    assert {variant.quantisation for variant in found} == {name for name, _ in QUANTS}
    assert [v.size_bytes for v in found] == sorted(v.size_bytes for v in found)


def test_an_estimate_weighs_what_its_bits_say(models: dict[str, LocalModel]) -> None:
    header = models["Model-8B-F16"].header
    assert header is not None
    for name, bits in QUANTS:
        other = requantised(header, name, bits)
        assert bits_per_weight(other) == pytest.approx(bits, rel=1e-6)
        assert other.parameters == header.parameters


def test_an_estimate_is_near_the_real_file(models: dict[str, LocalModel]) -> None:
    wide, real = models["Model-8B-F16"].header, models["Model-8B-Q8_0"].header
    assert wide is not None
    assert real is not None
    estimate = requantised(wide, "Q8_0", dict(QUANTS)["Q8_0"])
    assert estimate.weights.total_bytes == pytest.approx(real.weights.total_bytes, rel=0.01)


def test_each_cell_is_the_verdict_for_its_context(models: dict[str, LocalModel]) -> None:
    header = models["Model-8B-Q8_0"].header
    assert header is not None
    contexts = contexts_for(header)
    assert contexts == (4096, 8192, 16384, 32768)
    card = card_named("RTX 3060 12GB", 64 << 30)
    found = variants(models["Model-8B-Q8_0"], models.values())
    rows = grid([variant.header for variant in found], FitOptions(kv_type="f16"), card, contexts)
    kinds = {row.name: [cell.kind for cell in row.cells] for row in rows}
    assert kinds["Q4_K_M"] == [VerdictKind.FITS] * 4
    assert VerdictKind.FITS not in kinds["F16"]
    assert all(len(row.cells) == 4 for row in rows)
