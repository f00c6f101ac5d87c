from __future__ import annotations

from pathlib import Path

from modeldeck.engines.types import LoadedModel, LocalModel, ModelFormat, Plan, Source
from modeldeck.tui.sight import blind_words

MODEL = LocalModel("eye", Path("eye.gguf"), (), Source.FOLDER, ModelFormat.GGUF, 1)
LOADED = LoadedModel("1", "llama_cpp_python", "1", MODEL, Plan(), 512, None, 0, "CPU")


def test_a_model_without_a_projector_and_an_engine_without_eyes_are_told_apart() -> None:
    cause, next_step = blind_words(LOADED)
    assert "no projector" in cause
    assert "mmproj" in next_step

    with_projector = MODEL._replace(projector=Path("mmproj.gguf"))
    cause, next_step = blind_words(LOADED._replace(model=with_projector))
    assert "with llama_cpp_python" in cause
    assert "llama_server" in next_step
