"""A user with a folder of models, and no Ollama that answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.stores import OllamaStore


@pytest.fixture
def models(fresh_home: Path) -> Path:
    """A folder of models that the settings name."""
    folder = fresh_home / "models"
    folder.mkdir()
    config = fresh_home / ".config" / "modeldeck" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('model_dirs = ["~/models"]\n', encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def no_ollama(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")


@pytest.fixture
def ollama(fresh_home: Path) -> OllamaStore:
    return OllamaStore(fresh_home / ".ollama" / "models")
