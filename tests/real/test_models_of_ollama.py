"""A model that Ollama keeps, from the shell: found in its store, run in it, and given back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from modeldeck.engines.types import LocalModel, ModelFormat, Source
from modeldeck.tui.cli import main
from tests.servers.ollama import OllamaState, ollama_running
from tests.support.llama_server import install
from tests.support.random_model import make_random_model
from tests.support.stores import OllamaStore

pytestmark = pytest.mark.real
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def ollama(
    tmp_path: Path, fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[OllamaState]:
    """An Ollama with one model, and a folder with a model that it does not have."""
    weights = make_random_model(tmp_path / "made.gguf")
    store = OllamaStore(fresh_home / ".ollama" / "models")
    store.model("tiny", "latest", model=weights.read_bytes())
    path = store.path(weights.read_bytes())
    size_bytes = path.stat().st_size
    model = LocalModel("tiny:latest", path, (path,), Source.OLLAMA, ModelFormat.GGUF, size_bytes)
    (fresh_home / "models").mkdir()
    make_random_model(fresh_home / "models" / "other.gguf")
    (fresh_home / "config.toml").write_text('model_dirs = ["~/models"]\n', encoding="utf-8")
    state = OllamaState({"tiny:latest": model}, install(tmp_path / "bin"))
    with ollama_running(state) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        yield state


@pytest.fixture
def run(fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def words(*given: str) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        return main(["--config", str(fresh_home / "config.toml"), *given])

    return words


def test_a_model_of_its_store_runs_in_it_and_is_given_back(
    ollama: OllamaState, run: Callable[..., int], capsys: Captured
) -> None:
    code = run("chat", "-m", "tiny:latest", "-n", "5", "-c", "512", "--seed", "1", "--json", "Why?")
    answer = json.loads(capsys.readouterr().out)

    assert code == 0
    assert answer["engine"] == "ollama"
    (told,) = (body for path, body in ollama.asked if path == "/api/chat")
    assert told["options"]["num_ctx"] == 512
    assert not ollama.runners, "it was not given back"


def test_a_model_that_it_does_not_have_runs_elsewhere(
    ollama: OllamaState, run: Callable[..., int], capsys: Captured
) -> None:
    code = run("chat", "-m", "other", "-n", "5", "--json", "Why?")
    answer = json.loads(capsys.readouterr().out)
    refused = run("chat", "-m", "other", "--engine", "ollama", "Why?")

    assert code == 0
    assert answer["engine"] == "llama_server"
    assert not [path for path, _ in ollama.asked if path != "/api/show"]
    assert refused != 0
    assert "Ollama does not run GGUF from here" in capsys.readouterr().err


def test_the_list_of_engines_says_that_it_runs(
    ollama: OllamaState, run: Callable[..., int], capsys: Captured
) -> None:
    assert run("engines") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("ollama"))

    assert "ready" in line
    assert "0.32.13" in line
