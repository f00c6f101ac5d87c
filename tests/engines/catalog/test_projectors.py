"""A projector belongs to its model: by folder, name and width."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.projectors import fitting, neighbours_of
from modeldeck.engines.catalog.scan import model_at, scan
from modeldeck.engines.types import Source
from tests.support.gguf_files import write_gguf, write_llama

GEMMA = ["gemma-3-4b-it-Q4_K_M.gguf", "gemma-3-4b-it-Q8_0.gguf"]


@pytest.mark.parametrize(
    ("model", "others", "found"),
    [
        ("gemma-3-4b-it-Q4_K_M", [*GEMMA, "mmproj-F16.gguf"], ["mmproj-F16.gguf"]),
        ("gemma-3-4b-it-Q4_K_M", [*GEMMA, "mmproj-model-f16.gguf"], ["mmproj-model-f16.gguf"]),
        (
            "gemma-3-4b-it-Q4_K_M",
            [*GEMMA, "mmproj-F32.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"],
            ["mmproj-F16.gguf", "mmproj-BF16.gguf", "mmproj-F32.gguf"],
        ),
        ("gemma-3-4b-it-Q4_K_M", [*GEMMA, "Qwen3-8B.gguf", "mmproj-F16.gguf"], []),
        (
            "gemma-3-4b-it-Q4_K_M",
            ["Qwen3-8B.gguf", *GEMMA, "mmproj-F16.gguf", "mmproj-gemma-3-4b-it-f32.gguf"],
            ["mmproj-gemma-3-4b-it-f32.gguf"],
        ),
        ("Qwen3-8B", ["Qwen3-8B.gguf", "mmproj-gemma-3-4b-it-f16.gguf"], []),
        (
            "llava-v1.5-7b-Q4_K",
            ["llava-v1.5-7b-Q4_K.gguf", "llava-v1.5-7b-mmproj-model-f16.gguf", "a.gguf"],
            ["llava-v1.5-7b-mmproj-model-f16.gguf"],
        ),
        ("a", ["a.gguf", "b.txt", "mmproj.txt"], []),
    ],
)
def test_which_projectors_may_belong_to_a_model(
    model: str, others: list[str], found: list[str]
) -> None:
    assert list(fitting(model, neighbours_of(others))) == found


def write_projector(path: Path, width: int) -> Path:
    return write_gguf(
        path, {"general.architecture": "clip", "clip.vision.projection_dim": width}, []
    )


def test_a_model_is_listed_with_the_projector_beside_it(tmp_path: Path) -> None:
    write_llama(tmp_path / "eye" / "eye-1b-Q4_K_M.gguf")
    write_llama(tmp_path / "other" / "word-1b.gguf")
    projector = write_projector(tmp_path / "eye" / "mmproj-eye-1b-f16.gguf", 64)

    found = {model.name: model.projector for model in scan([Place(Source.FOLDER, tmp_path)]).models}

    assert found == {"eye-1b-Q4_K_M": projector, "word-1b": None}
    assert model_at(tmp_path / "eye" / "eye-1b-Q4_K_M.gguf").projector == projector


def test_a_projector_of_another_width_is_another_models(tmp_path: Path) -> None:
    write_llama(tmp_path / "gemma-3-1b-it.gguf")
    write_projector(tmp_path / "mmproj-gemma-3-f16.gguf", 2560)
    (tmp_path / "mmproj-gemma.gguf").write_bytes(b"GGUF")
    assert model_at(tmp_path / "gemma-3-1b-it.gguf").projector is None

    wide = write_projector(tmp_path / "mmproj-gemma-3-f32.gguf", 64 * 4)
    assert model_at(tmp_path / "gemma-3-1b-it.gguf").projector == wide
