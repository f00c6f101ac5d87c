"""Every model on the machine is one row, and nothing that lies about can break the list."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.catalog import walk
from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import Scan, models_of, scan
from modeldeck.engines.formats.gguf import GgufFile, read_gguf
from modeldeck.engines.formats.source import ByteSource
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import SCHEMA, HeaderCache
from modeldeck.engines.types import LocalModel, Source
from tests.support.gguf_files import (
    F32,
    Tensor,
    Value,
    header_bytes,
    llama_metadata,
    write_gguf,
    write_llama,
    write_split_llama,
)


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


def look(*folders: Path, cache: HeaderCache | None = None) -> Scan:
    return scan([Place(Source.FOLDER, folder) for folder in folders], cache)


def names(found: Scan) -> list[str]:
    return [model.name for model in found.models]


def only(found: Scan) -> LocalModel:
    (model,) = found.models
    return model


def test_models_are_found_in_folders_and_their_folders(models: Path) -> None:
    write_llama(models / "Zeta.gguf")
    path = write_llama(models / "a" / "b" / "alpha.GGUF", name="Alpha")
    (models / "readme.md").write_text("no model")

    found = look(models)

    assert names(found) == ["alpha", "Zeta"]
    assert found.notes == ()
    alpha = found.models[0]
    assert alpha.path == path
    assert alpha.files == (path,)
    assert alpha.size_bytes == path.stat().st_size
    assert alpha.problem is None
    assert alpha.header is not None
    assert alpha.header.name == "Alpha"
    assert alpha.source is Source.FOLDER


def test_a_place_may_be_one_file(models: Path) -> None:
    path = write_llama(models / "demo.gguf")
    write_llama(models / "other.gguf")

    assert only(scan([Place(Source.DEMO, path)])).source is Source.DEMO


def test_a_split_model_is_one_row(models: Path) -> None:
    paths = write_split_llama(models, "big")
    write_llama(models / "big.gguf")

    whole, split = sorted(look(models).models, key=lambda model: len(model.files))

    assert whole.name == split.name == "big"
    assert split.path == paths[0]
    assert list(split.files) == paths
    assert split.size_bytes == sum(path.stat().st_size for path in paths)
    assert split.problem is None
    assert split.header is not None
    assert split.header.tensor_count == 21


@pytest.mark.parametrize(
    ("gone", "problem"),
    [
        ([2], "Part 2 of 3 is missing."),
        ([1, 3], "Parts 1 and 3 of 3 are missing."),
    ],
)
def test_missing_parts_are_named(models: Path, gone: list[int], problem: str) -> None:
    paths = write_split_llama(models, "big")
    for number in gone:
        paths[number - 1].unlink()

    model = only(look(models))

    assert model.problem == problem
    assert model.header is None
    assert len(model.files) == 3 - len(gone)
    write_split_llama(models, "big")
    assert only(look(models)).problem is None


def test_many_missing_parts_are_not_all_named(models: Path) -> None:
    write_llama(models / "big-00002-of-00900.gguf")

    assert only(look(models)).problem == ("Parts 1, 3, 4, 5, 6, 7 and 893 more of 900 are missing.")


def test_files_that_are_no_sound_models_are_listed_with_the_problem(models: Path) -> None:
    sound = write_llama(models / "sound.gguf").read_bytes()
    (models / "cut.gguf").write_bytes(sound[:-5000])
    (models / "empty.gguf").touch()
    (models / "text.gguf").write_text("hello")
    (models / "nested.gguf").mkdir()
    os.mkfifo(models / "pipe.gguf")
    (models / "broken.gguf").symlink_to(models / "nowhere")
    (models / "loop.gguf").symlink_to("loop.gguf")
    write_gguf(models / "vocab.gguf", llama_metadata())

    found = look(models)

    problems = {model.name: model.problem for model in found.models}
    assert problems.pop("sound") is None
    for name, words in {
        "broken": "link to a file that is not there",
        "cut": "not complete: the file ends at least 5,000 bytes",
        "empty": "empty",
        "loop": "leads back to itself",
        "pipe": "no regular file",
        "text": "no GGUF",
        "vocab": "only a vocabulary",
    }.items():
        problem = problems.pop(name)
        assert problem is not None
        assert words in problem
        assert problem.count(". ") == 0
    assert not problems


def test_folders_that_lead_back_to_themselves_are_entered_once(models: Path) -> None:
    write_llama(models / "deep" / "m.gguf")
    (models / "deep" / "up").symlink_to(models)
    (models / "self").symlink_to("self")
    (models / "again").symlink_to(models / "deep")

    found = look(models, models / "deep")

    assert names(found) == ["m"]
    assert found.notes == ()


def test_links_are_followed_and_one_file_is_one_row(models: Path, tmp_path: Path) -> None:
    real = write_llama(tmp_path / "elsewhere" / "real.gguf")
    (models / "a.gguf").symlink_to(real)
    (models / "b.gguf").hardlink_to(real)
    (models / "folder").symlink_to(real.parent)

    model = only(look(models))

    assert model.name == "a"
    assert model.path == models / "a.gguf"


def test_the_hugging_face_cache_shows_each_blob_once(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    repository = hub / "models--someone--Tiny-GGUF"
    blobs = repository / "blobs"
    for number, part in enumerate(write_split_llama(tmp_path, "big", 2)):
        blobs.mkdir(parents=True, exist_ok=True)
        part.rename(blobs / f"hash{number}")
    write_llama(blobs / "hash2")
    (blobs / "hash3.incomplete").write_bytes(b"GGUF")
    links = {"big-00001-of-00002.gguf": 0, "big-00002-of-00002.gguf": 1, "Tiny-Q8_0.gguf": 2}
    for revision, files in {
        "1aaa": list(links)[:1],
        "2bbb": list(links),
        "3ccc": list(links),
    }.items():
        snapshot = repository / "snapshots" / revision
        snapshot.mkdir(parents=True)
        for file in files:
            (snapshot / file).symlink_to(f"../../blobs/hash{links[file]}")

    found = scan([Place(Source.HUGGING_FACE, hub)])

    assert names(found) == ["big", "Tiny-Q8_0"]
    assert [model.problem for model in found.models] == [None, None]
    assert [model.source for model in found.models] == [Source.HUGGING_FACE] * 2
    assert found.models[0].path == repository / "snapshots/2bbb/big-00001-of-00002.gguf"


def test_what_goes_with_models_is_no_model(models: Path) -> None:
    write_llama(models / "model.gguf")
    write_llama(models / "mmproj-model-f16.gguf")
    write_llama(models / "model.mmproj-Q8_0.gguf")
    tensors = [Tensor("a", (8,), F32)]
    kinds: list[dict[str, Value]] = [
        {"general.architecture": "clip"},
        {"general.architecture": "llama", "general.type": "adapter"},
        {"general.type": "imatrix"},
    ]
    for number, metadata in enumerate(kinds):
        write_gguf(models / f"other{number}.gguf", metadata, tensors)
    (models / "._model.gguf").write_bytes(b"left by a copy")

    found = look(models)

    assert names(found) == ["model"]
    (note,) = found.notes
    assert "5 files" in note


def test_hostile_names_are_shown_as_data(models: Path) -> None:
    for name in (
        "[red]x[bold].gguf",
        "\x1b]0;evil\x07.gguf",
        "abc\u202efdp.gguf",
        "tab\tline\n.gguf",
    ):
        write_llama(models / name)
    write_llama(models / os.fsdecode(b"raw\xff.gguf"))
    write_llama(models / "\x1b\x1b.gguf")

    found = look(models)

    assert sorted(names(found)) == [
        "(no name)",
        "[red]x[bold]",
        "]0;evil",
        "abcfdp",
        "raw",
        "tab line",
    ]
    assert all(model.path.is_file() and model.header for model in found.models)


def test_a_folder_that_is_not_there_is_said(models: Path) -> None:
    gone = models / "gone"

    assert look(gone).notes == (f"The folder {gone} is not there.",)
    assert scan([Place(Source.LLAMA_CPP, gone)]).notes == ()
    assert scan([Place(Source.FOLDER, gone, made_later=True)]).notes == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_may_not_be_read_is_passed_over(models: Path) -> None:
    closed = models / "closed"
    write_llama(closed / "secret.gguf")
    closed.chmod(0)
    write_llama(models / "mine.gguf")
    write_llama(models / "theirs.gguf").chmod(0)

    found = look(models)
    closed.chmod(0o700)

    assert names(found) == ["mine", "theirs"]
    assert "Permission denied" in (found.models[1].problem or "")
    assert "1 folder" in found.notes[0]


def test_an_unreadable_folder_does_not_end_the_scan(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_llama(models / "bad" / "x.gguf")
    write_llama(models / "good" / "y.gguf")
    listing = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "bad":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", refuse)

    found = look(models)

    assert names(found) == ["y"]
    assert f"1 folder ({models / 'bad'})." in found.notes[0]


def test_a_file_that_goes_away_meanwhile_is_no_error(models: Path) -> None:
    for number in range(3):
        write_llama(models / f"m{number}.gguf")

    found: list[str] = []
    for model in models_of([Place(Source.FOLDER, models)], []):
        found.append(model.name)
        (models / "m1.gguf").unlink(missing_ok=True)

    assert found == ["m0", "m2"]


def test_a_folder_too_deep_is_not_entered(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_DEPTH", 2)
    write_llama(models / "1/2/in.gguf")
    write_llama(models / "1/2/3/out.gguf")

    found = look(models)

    assert names(found) == ["in"]
    assert "too deep: 1 folder." in found.notes[0]


def test_a_scan_ends_at_a_bound_and_says_so(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_ENTRIES", 5)
    for number in range(9):
        write_llama(models / f"m{number}.gguf")

    found = look(models)

    assert len(found.models) == 5
    assert "not looked at" in found.notes[0]


def test_a_scan_can_be_stopped_between_models(models: Path) -> None:
    for number in range(9):
        write_llama(models / f"m{number}.gguf")
    found: list[LocalModel] = []

    for model in models_of([Place(Source.FOLDER, models)], [], None, lambda: len(found) >= 3):
        found.append(model)  # noqa: PERF402

    assert len(found) == 3


READER = "modeldeck.engines.formats.gguf.read_gguf"


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[ByteSource]:
    reads: list[ByteSource] = []

    def counted(source: ByteSource) -> GgufFile:
        reads.append(source)
        return read_gguf(source)

    monkeypatch.setattr(READER, counted)
    return reads


def test_a_second_scan_opens_nothing(
    models: Path, cache: HeaderCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_llama(models / "good.gguf")
    (models / "bad.gguf").write_bytes(b"GGUF")
    write_gguf(models / "adapter.gguf", {"general.type": "adapter"}, [Tensor("a", (8,), F32)])
    write_split_llama(models, "split")
    first = look(models, cache=cache)
    cache.save()

    reads = count_reads(monkeypatch)
    second = look(models, cache=cache)

    assert second == first
    assert len(second.models) == 3
    assert not reads


def test_a_file_that_changed_is_read_again(models: Path, cache: HeaderCache) -> None:
    path = models / "m.gguf"
    path.write_bytes(b"GGUF")
    assert only(look(models, cache=cache)).problem

    write_llama(path)

    assert only(look(models, cache=cache)).problem is None


def test_what_is_read_of_a_file_in_change_is_not_remembered(
    models: Path, cache: HeaderCache
) -> None:
    write_llama(models / "a.gguf")
    path = write_llama(models / "b.gguf")
    before, sound = path.stat(), path.read_bytes()

    found: list[LocalModel] = []
    for model in models_of([Place(Source.FOLDER, models)], [], cache):
        found.append(model)
        path.write_bytes(bytes(len(sound)))
        os.utime(path, ns=(0, 0))
    path.write_bytes(sound)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert [model.problem is None for model in found] == [True, False]
    assert [model.problem is None for model in look(models, cache=cache).models] == [True, True]


def test_a_problem_of_the_moment_is_not_remembered(
    models: Path, cache: HeaderCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_llama(models / "m.gguf")

    def fail(source: object) -> object:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(READER, fail)
        assert only(look(models, cache=cache)).problem == (
            "The file cannot be read (Input/output error)."
        )

    assert only(look(models, cache=cache)).problem is None


def test_ten_thousand_files_are_listed_in_seconds(models: Path, cache: HeaderCache) -> None:
    header = header_bytes({"general.architecture": "llama"}, [Tensor("a", (8,), F32)]) + bytes(32)
    for number in range(10_000):
        (models / f"model{number}.gguf").write_bytes(header)

    began = time.perf_counter()
    first = look(models, cache=cache)
    read = time.perf_counter() - began
    again = look(models, cache=cache)
    listed = time.perf_counter() - began - read

    assert len(first.models) == 10_000
    assert first == again
    assert read < 30
    assert listed < 15
