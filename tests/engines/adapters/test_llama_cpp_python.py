"""Without the library the engine says how to get it; a wrong setting says what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_cpp_python import LlamaCppPythonEngine
from modeldeck.engines.errors import EngineMissing, LoadFailed, SettingsError
from modeldeck.engines.types import LocalModel, Plan


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LlamaCppPythonEngine:
    """An engine on a machine where nobody has installed the library."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return LlamaCppPythonEngine()


async def test_without_the_library_it_says_how_to_get_it(
    engine: LlamaCppPythonEngine, tiny_model: LocalModel
) -> None:
    probe = await engine.probe()
    assert not probe.available
    assert probe.problem == "llama-cpp-python is not installed."
    assert "pip install 'modeldeck[llama-cpp]'" in probe.next_step
    assert "GGML_CUDA=on" in probe.next_step
    with pytest.raises(EngineMissing):
        await engine.load(tiny_model, Plan())


@pytest.mark.parametrize("python", [1, "/no/such/python", "/tmp"])
def test_a_python_that_is_none_is_refused(engine: LlamaCppPythonEngine, python: object) -> None:
    with pytest.raises(SettingsError, match="python cannot be run"):
        engine.configure({"python": python})


async def test_a_python_without_the_library_is_named(
    engine: LlamaCppPythonEngine, tiny_model: LocalModel
) -> None:
    engine.configure({"python": sys.executable})
    probe = await engine.probe()
    assert not probe.available
    assert "No module named" in probe.problem
    with pytest.raises((EngineMissing, LoadFailed), match=r"llama-cpp-python|No module named"):
        await engine.load(tiny_model, Plan(context_tokens=512))
    await engine.close()
