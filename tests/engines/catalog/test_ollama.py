"""Ollama's own models are in the list under Ollama's own names."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from modeldeck.engines.catalog.ollama import model_name, read_manifest
from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import Scan, scan
from modeldeck.engines.errors import FormatError
from modeldeck.engines.types import Source
from tests.support.gguf_files import write_llama


class Store:
    """A store as Ollama lays it out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs").mkdir(parents=True)

    def blob(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs" / f"sha256-{digest}").write_bytes(data)
        return f"sha256:{digest}"

    def manifest(self, name: str, text: str) -> Path:
        path = self.folder / "manifests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def model(self, name: str, **layers: str) -> Path:
        kinds = [
            {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest, "size": 1}
            for kind, digest in layers.items()
        ]
        return self.manifest(name, json.dumps({"schemaVersion": 2, "layers": kinds}))


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    return write_llama(tmp_path / "w.gguf").read_bytes()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "ollama")


def look(store: Store, *more: Place) -> Scan:
    return scan((*more, Place(Source.OLLAMA, store.folder)))


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("registry.ollama.ai", "library", "qwen3", "8b"), "qwen3:8b"),
        (("registry.ollama.ai", "me", "mine", "latest"), "me/mine:latest"),
        (("hf.co", "unsloth", "Qwen3-GGUF", "Q4_K_M"), "hf.co/unsloth/Qwen3-GGUF:Q4_K_M"),
        (("box:5000", "library", "m", "t"), "box:5000/library/m:t"),
    ],
)
def test_names_are_written_as_ollama_writes_them(parts: tuple[str, ...], name: str) -> None:
    assert model_name(parts) == name


def test_a_model_is_listed_with_its_blob_and_its_projector(store: Store, weights: bytes) -> None:
    digest, projector = store.blob(weights), store.blob(b"projector")
    store.model("registry.ollama.ai/library/gemma3/4b", model=digest, projector=projector)
    (model,) = look(store).models

    assert (model.name, model.source) == ("gemma3:4b", Source.OLLAMA)
    assert model.path == store.folder / "blobs" / digest.replace(":", "-")
    assert model.header is not None
    assert model.projector == store.folder / "blobs" / projector.replace(":", "-")


def test_two_tags_of_one_blob_are_one_row_with_both_names(store: Store, weights: bytes) -> None:
    digest = store.blob(weights)
    store.model("registry.ollama.ai/library/qwen3/8b", model=digest)
    store.model("registry.ollama.ai/library/qwen3/latest", model=digest)
    (model,) = look(store).models

    assert model.name == "qwen3:8b"
    assert [(seen.name, seen.source) for seen in model.also] == [("qwen3:latest", Source.OLLAMA)]


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_one_file_in_two_stores_is_one_row(
    store: Store, weights: bytes, tmp_path: Path, link: object
) -> None:
    digest = store.blob(weights)
    store.model("registry.ollama.ai/library/qwen3/8b", model=digest)
    folder = tmp_path / "models"
    folder.mkdir()
    blob = store.folder / "blobs" / digest.replace(":", "-")
    (os.link if link is os.link else os.symlink)(blob, folder / "Qwen3-8B.gguf")
    (model,) = look(store, Place(Source.FOLDER, folder)).models

    assert (model.name, model.source) == ("Qwen3-8B", Source.FOLDER)
    assert [(seen.name, seen.source) for seen in model.also] == [("qwen3:8b", Source.OLLAMA)]
    assert model.also[0].path == blob


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not sound"),
        ("{}", "not sound"),
        ("[1]", "not sound"),
        ('{"layers": 3}', "not sound"),
        ("[" * 100_000, "not sound"),
        ('{"layers": []}', "only it can run"),
        (
            '{"layers": [{"mediaType": "application/vnd.ollama.image.model",'
            ' "digest": "sha256:../../../etc/passwd"}]}',
            "not sound",
        ),
        (
            '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:'
            + "0" * 64
            + '"}]}',
            "not in Ollama's store",
        ),
        (" " * (2 << 20), "not sound"),
    ],
)
def test_what_cannot_be_used_is_listed_with_its_problem(
    store: Store, text: str, problem: str
) -> None:
    store.manifest("registry.ollama.ai/library/bad/1b", text)
    (model,) = look(store).models
    assert model.name == "bad:1b"
    assert model.problem is not None
    assert problem in model.problem


def test_what_lies_where_no_manifest_does_is_passed_over(store: Store, weights: bytes) -> None:
    digest = store.blob(weights)
    store.model("registry.ollama.ai/too-shallow", model=digest)
    store.model("registry.ollama.ai/library/m/t/too/deep", model=digest)
    store.model("registry.ollama.ai/library/m/.DS_Store", model=digest)
    (store.folder / "manifests" / "loop").symlink_to(store.folder / "manifests")
    os.mkfifo(store.folder / "manifests" / "registry.ollama.ai" / "library" / "m" / "pipe")
    (model,) = look(store).models
    assert model.name == "m:pipe"
    assert "no regular file" in (model.problem or "")


def test_an_empty_store_is_no_problem(tmp_path: Path) -> None:
    found = scan((Place(Source.OLLAMA, tmp_path / "nowhere"),))
    assert found == Scan((), ())


def test_layers_of_others_are_left_out() -> None:
    with pytest.raises(FormatError):
        read_manifest(b"\xff")
    assert read_manifest(b'{"layers": [1, {"mediaType": "text/plain", "digest": "x"}]}') == []
