"""A folder as Hugging Face publishes models is one row, whatever store it lies in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.catalog.folders import contents_of
from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.resolve import resolve
from modeldeck.engines.catalog.scan import Scan, scan
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import SCHEMA, HeaderCache
from modeldeck.engines.types import LocalModel, ModelFormat, Source
from tests.support.gguf_files import llamafile_bytes, small_gguf, write_llama
from tests.support.safetensors_files import (
    LLAMA,
    llama_weights,
    write_folder,
    write_safetensors,
)

GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}
REVISION = "a" * 40
OTHER = "0" * 40


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[HeaderCache]:
    database = Database.open(tmp_path / "data" / "store.db", [SCHEMA])
    yield HeaderCache(database)
    database.close()


def look(folder: Path, source: Source = Source.FOLDER, cache: HeaderCache | None = None) -> Scan:
    return scan([Place(source, folder)], cache)


def only(found: Scan) -> LocalModel:
    (model,) = found.models
    return model


def snapshot(cache: Path, revision: str, branch: str | None = None) -> Path:
    """A revision of ``org/tiny`` as the Hugging Face cache keeps it: links to blobs."""
    repository = cache / "models--org--tiny"
    folder = repository / "snapshots" / revision
    folder.mkdir(parents=True)
    if branch:
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / branch).write_text(revision)
    return folder


def link(folder: Path, name: str, blob: Path) -> None:
    (folder / name).symlink_to(os.path.relpath(blob, folder))


def test_a_folder_with_a_configuration_and_weights_is_one_model(models: Path) -> None:
    folder = write_folder(models / "Tiny-Llama", shards=3)
    write_llama(models / "Tiny-Llama" / "tiny.gguf")

    row = next(model for model in look(models).models if model.name == "Tiny-Llama")

    assert row.path == folder
    assert row.format is ModelFormat.SAFETENSORS
    assert row.problem is None
    assert len(row.files) == 3
    assert row.size_bytes == sum(file.stat().st_size for file in row.files)
    assert row.header is not None
    assert row.header.quantisation == "BF16"
    assert row.header.tensor_count == len(llama_weights())
    assert len(look(models).models) == 2


def test_the_format_is_what_the_configuration_says(models: Path) -> None:
    write_folder(models / "q", config={**LLAMA, "quantization_config": GPTQ})
    old = write_folder(models / "old")
    (old / "quantize_config.json").write_text('{"bits":3,"group_size":64,"desc_act":false}')

    gptq, other = sorted(look(models).models, key=lambda model: -len(model.name))

    assert other.header is not None
    assert gptq.header is not None
    assert {gptq.format, other.format} == {ModelFormat.GPTQ}
    assert {gptq.header.quantisation, other.header.quantisation} == {
        "GPTQ 4-bit g128",
        "GPTQ 3-bit g64",
    }


def test_a_chat_template_is_seen_where_it_lies(models: Path) -> None:
    without = write_folder(models / "without")
    (without / "tokenizer_config.json").write_text("{broken")
    told = write_folder(models / "told")
    (told / "tokenizer_config.json").write_text('{"chat_template":"{{x}}"}')
    (write_folder(models / "beside") / "chat_template.jinja").write_text("{{x}}")

    templates = {m.name: m.header.has_chat_template for m in look(models).models if m.header}

    assert templates == {"beside": True, "told": True, "without": False}


def test_the_same_weights_twice_in_one_folder_are_counted_once(models: Path) -> None:
    folder = write_folder(models / "m", shards=2)
    whole = only(look(models)).size_bytes
    write_safetensors(folder / "consolidated.safetensors", llama_weights())
    assert only(look(models)).size_bytes == whole


def test_pickles_are_listed_and_never_opened(models: Path) -> None:
    folder = models / "old"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    os.mkfifo(folder / "training_args.bin")
    pickle = folder / "pytorch_model.bin"
    pickle.write_bytes(b"\x80\x04cos\nsystem\n")
    pickle.chmod(0)

    row = only(look(models))

    assert row.format is ModelFormat.PICKLE
    assert row.problem is not None
    assert row.problem.startswith("Pickle weights; not loaded")
    assert row.size_bytes == pickle.stat().st_size


def test_adapters_and_parts_of_pipelines_go_with_models(models: Path) -> None:
    adapter = models / "lora"
    write_safetensors(adapter / "adapter_model.safetensors", llama_weights(1))
    (adapter / "adapter_config.json").write_text("{}")
    pipeline = models / "painter"
    write_folder(pipeline / "text_encoder")
    (pipeline / "model_index.json").write_text("{}")

    found = look(models)

    assert found.models == ()
    assert "go with models: 2 files" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("config.json", "{", "not sound JSON"),
        ("config.json", "[]", "no JSON object"),
        ("config.json", "{}", "which kind of model"),
        ("config.json", " " * (4 << 20) + "{}", "no more than 4 MiB"),
        ("model-00001-of-00002.safetensors", None, "Part 1 of 2 is missing"),
        ("model-00002-of-00002.safetensors", "GGUF", "not complete"),
        ("model.safetensors.index.json", '{"weight_map":{"a":"x","b":"y"}}', "part x and 1 more"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(
    models: Path, name: str, text: str | None, says: str
) -> None:
    path = write_folder(models / "m", shards=2) / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    row = only(look(models))
    assert row.problem is not None
    assert says in row.problem
    assert row.header is None


def test_a_pipe_in_place_of_a_file_is_not_opened(models: Path) -> None:
    folder = write_folder(models / "m")
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    assert only(look(models)).problem == "It is no regular file, so it is not opened."


def test_a_folder_once_read_is_not_read_again_until_it_changes(
    models: Path, cache: HeaderCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(models / "m", config={**LLAMA, "quantization_config": GPTQ})
    first = only(look(models, cache=cache))
    cache.save()

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", None)
        assert only(look(models, cache=cache)) == first

    (folder / "config.json").write_text(json.dumps({**LLAMA, "model_type": "qwen2"}))
    changed = only(look(models, cache=cache))
    assert changed.header is not None
    assert changed.header.architecture == "qwen2"
    assert changed.format is ModelFormat.SAFETENSORS


def test_the_hugging_face_cache_names_its_models_by_repository(tmp_path: Path) -> None:
    blobs = tmp_path / "models--org--tiny" / "blobs"
    weights = write_safetensors(blobs / "w1", llama_weights())
    config = blobs / "c1"
    config.write_text(json.dumps(LLAMA))
    for revision, branch in ((OTHER, None), (REVISION, "main")):
        folder = snapshot(tmp_path, revision, branch)
        link(folder, "model.safetensors", weights)
        link(folder, "config.json", config)

    row = only(look(tmp_path, Source.HUGGING_FACE))

    assert row.name == "org/tiny"
    assert row.path.name == REVISION
    assert [(seen.name, seen.path.name) for seen in row.also] == [("org/tiny@0000000", OTHER)]


def test_a_branch_with_other_weights_is_another_model(tmp_path: Path) -> None:
    for revision, branch in ((REVISION, "main"), (OTHER, "4.0bpw"), ("b" * 40, None)):
        write_folder(snapshot(tmp_path, revision, branch))
    names = {model.name for model in look(tmp_path, Source.HUGGING_FACE).models}
    assert names == {"org/tiny", "org/tiny@4.0bpw", "org/tiny@bbbbbbb"}


def test_one_folder_seen_through_two_stores_is_one_model(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a" / "Tiny")
    other = tmp_path / "b" / "org_tiny"
    other.mkdir(parents=True)
    (other / "model.safetensors").symlink_to(folder / "model.safetensors")
    (other / "config.json").write_text(json.dumps(LLAMA))

    found = scan(
        [
            Place(Source.LM_STUDIO, tmp_path / "a"),
            Place(Source.TEXT_GENERATION_WEBUI, tmp_path / "b"),
        ]
    )

    row = only(found)
    assert row.name == "Tiny"
    assert [(seen.name, seen.source) for seen in row.also] == [
        ("org_tiny", Source.TEXT_GENERATION_WEBUI)
    ]


def test_a_path_to_a_folder_is_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "elsewhere")
    model = resolve((), str(folder))
    assert (model.name, model.path) == ("elsewhere", folder)
    listed = only(look(tmp_path))
    assert resolve([listed], str(folder)) is listed
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelNotFound, match="No model lies in"):
        resolve((), str(tmp_path / "empty"))


def test_a_folder_is_meant_by_its_bare_name_and_by_the_files_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "published", shards=2)
    monkeypatch.chdir(tmp_path)
    for text in (
        "published",
        f"{folder}/config.json",
        f"{folder}/model-00002-of-00002.safetensors",
    ):
        assert resolve((), text).header is not None


@pytest.mark.parametrize(
    ("names", "weights"),
    [
        (["config.json", "b.safetensors", "a.safetensors"], ("a.safetensors", "b.safetensors")),
        (["config.json", "model.safetensors", "x.safetensors"], ("model.safetensors",)),
        (["config.json", "output.safetensors", "pytorch_model.bin"], ("output.safetensors",)),
        (["config.json", "._model.safetensors", "y.safetensors"], ("y.safetensors",)),
        (["config.json", "consolidated.00.pth"], ("consolidated.00.pth",)),
    ],
)
def test_which_files_are_the_weights(names: list[str], weights: tuple[str, ...]) -> None:
    found = contents_of(names)
    assert found is not None
    assert found.weights == weights
    assert not found.companion


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["config.json"],
        ["model.safetensors"],
        ["config.json", "training_args.bin", "optimizer.pt", "openvino_model.bin"],
        ["CONFIG.JSON", "model.safetensors"],
    ],
)
def test_other_folders_are_no_models(names: list[str]) -> None:
    assert contents_of(names) is None


@given(
    st.lists(
        st.text()
        | st.sampled_from(["config.json", "adapter_config.json", "model.safetensors"])
        | st.from_regex(r"m-0000[0-9]-of-0000[0-9]\.(safetensors|bin)", fullmatch=True),
        unique=True,
        max_size=12,
    )
)
def test_whatever_a_folder_holds_only_its_own_names_are_taken(names: list[str]) -> None:
    found = contents_of(names)
    if found is not None:
        assert found.weights
        assert {*found.weights, *found.papers} <= set(names)
        assert len(found.weights) + len(found.missing) >= found.parts


def test_a_llamafile_is_a_model_of_its_own_format(models: Path, cache: HeaderCache) -> None:
    path = models / "Tiny.llamafile"
    path.write_bytes(llamafile_bytes(small_gguf()))
    (models / "cut.llamafile").write_bytes(path.read_bytes()[:-400])

    cut, row = look(models, cache=cache).models

    assert (row.name, row.path, row.format) == ("Tiny", path, ModelFormat.LLAMAFILE)
    assert row.header is not None
    assert row.header.architecture == "llama"
    assert cut.format is ModelFormat.LLAMAFILE
    assert cut.problem is not None
    assert resolve((), str(path)).format is ModelFormat.LLAMAFILE
