"""A GGUF is given to Ollama from the shell; its newer store is understood."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from modeldeck.engines.house.manifests import Manifest, blob_path, manifests_of
from modeldeck.engines.house.pruning import plan_pruning
from modeldeck.engines.house.stock import take_stock
from modeldeck.tui.cli import main
from tests.support.gguf_files import llama_metadata, llama_tensors, write_gguf, write_llama
from tests.support.ollama_server import ollama_serving
from tests.support.stores import OllamaStore, sha256, weights

Captured = pytest.CaptureFixture[str]


def test_import_gives_a_gguf_to_ollama_without_a_copy(
    models: Path, ollama: OllamaStore, tmp_path: Path, capsys: Captured
) -> None:
    data = gguf_with_template(tmp_path, "{% for m in messages %}<|im_start|>{{ m }}<|im_end|>")
    file = models / "Qwen-Q4_0.gguf"
    file.write_bytes(data)

    assert main(["import", str(file), "mine:8b", "--json"]) == 0

    record = json.loads(capsys.readouterr().out)
    assert (record["name"], record["by_ollama"]) == ("mine:8b", False)
    (one,) = record["files"]
    assert one["digest"] == f"sha256:{sha256(data)}"
    assert one["how"] == "reflink" or ollama.path(data).samefile(file)
    assert ollama.path(data).read_bytes() == data

    assert main(["ls", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    rows += [also for row in rows for also in row["also"]]
    names = {(row["name"], row["source"]) for row in rows}
    assert ("mine:8b", "ollama") in names
    (manifest,) = manifests_of(ollama.folder)
    assert manifest.sound
    assert all(blob.exists() for blob in manifest.blobs if blob != manifest_blob(manifest))
    layers = json.loads(manifest.path.read_bytes())["layers"]
    kinds = [layer["mediaType"].rpartition(".")[2] for layer in layers]
    assert kinds == ["model", "template", "params"]
    template = blob_path(ollama.folder, layers[1]["digest"].rpartition(":")[2]).read_text()
    assert "<|im_start|>{{ .Role }}" in template
    assert main(["prune"]) == 0
    assert "Nothing to remove." in capsys.readouterr().out


def manifest_blob(manifest: Manifest) -> Path:
    """Where newer versions keep the manifest itself."""
    return blob_path(manifest.store, manifest.own_digest)


def gguf_with_template(folder: Path, jinja: str) -> bytes:
    metadata = {**llama_metadata(), "tokenizer.chat_template": "{# " + "x" * 3000 + " #}" + jinja}
    return write_gguf(folder / "made.gguf", metadata, llama_tensors()).read_bytes()


def test_import_lets_a_running_ollama_make_the_model(
    models: Path,
    ollama: OllamaStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    data = weights(tmp_path)
    (models / "One.gguf").write_bytes(data)

    with ollama_serving(ollama) as (address, asked):
        monkeypatch.setenv("OLLAMA_HOST", address)
        assert main(["import", "One"]) == 0
        assert asked == ["create one:latest"]
        assert ollama.path(data).read_bytes() == data
        assert "Ollama has one:latest now" in capsys.readouterr().out
        assert main(["import", "One"]) == 1
        assert "has a model one:latest already" in capsys.readouterr().err

        assert main(["rm", "one:latest", "--for-good", "--yes"]) == 0
        assert asked[1:] == ["delete one:latest"]
    assert list((ollama.folder / "blobs").iterdir()) == []
    assert (models / "One.gguf").read_bytes() == data


@pytest.mark.parametrize(
    ("name", "said"),
    [("../../x", "no name for Ollama"), ("a b", "no name for Ollama"), (".x", "no name")],
)
def test_import_takes_only_names_that_are_sound(
    name: str, said: str, models: Path, ollama: OllamaStore, capsys: Captured
) -> None:
    write_llama(models / "one.gguf")

    assert main(["import", "one", name]) == 1
    assert said in capsys.readouterr().err
    assert list(ollama.folder.rglob("*")) == [ollama.folder / "blobs"]


def test_import_without_a_store_hands_a_running_ollama_a_copy(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    data = weights(tmp_path)
    (models / "One.gguf").write_bytes(data)
    elsewhere = OllamaStore(tmp_path / "of-a-container")

    assert main(["import", "One"]) == 1
    assert "Allow a copy of" in capsys.readouterr().err
    assert main(["import", "One", "--copy"]) == 1
    assert "No Ollama answers" in capsys.readouterr().err
    with ollama_serving(elsewhere) as (address, asked):
        monkeypatch.setenv("OLLAMA_HOST", address)
        assert main(["import", "One", "--copy"]) == 0
        assert asked == ["upload", "create one:latest"]
        assert main(["import", "One", "--copy"]) == 1
    assert elsewhere.path(data).read_bytes() == data
    assert "has a model one:latest already" in capsys.readouterr().err


def test_models_of_the_newer_store_are_listed_kept_and_deleted(
    models: Path, ollama: OllamaStore, tmp_path: Path, capsys: Captured
) -> None:
    data = weights(tmp_path)
    legacy = ollama.model("new", "8b", model=data, template=b"t")
    manifest = legacy.read_bytes()
    legacy.unlink()
    ollama.blob(manifest)
    link = ollama.folder / "manifests-v2" / "registry.ollama.ai" / "library" / "new" / "8b"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(ollama.path(manifest), link.parent))

    assert main(["ls"]) == 0
    assert "new:8b" in capsys.readouterr().out
    stock = take_stock([ollama.place])
    assert plan_pruning(stock, time.time() + 1e6).orphans == ()
    assert main(["rm", "new:8b", "--yes"]) == 0
    assert list((ollama.folder / "blobs").iterdir()) == []
    assert main(["rm", "--undo"]) == 0
    assert link.read_bytes() == manifest
    assert ollama.path(data).read_bytes() == data
