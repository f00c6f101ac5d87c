"""A model is deleted: what goes, what stays, and how it comes back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir, try_to_load_from_cache

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.resolve import resolve
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.house.carrying_out import delete_for_good, move_to_trash
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.house.held import meant_by
from modeldeck.engines.house.in_use import holders_of
from modeldeck.engines.house.removal import Removal, plan_removal
from modeldeck.engines.house.stock import take_stock, with_files
from modeldeck.engines.house.trash import bins, empty, put_back, trashes
from modeldeck.engines.house.turns import my_turn
from modeldeck.engines.types import Source
from tests.support.gguf_files import write_gguf, write_llama, write_split_llama
from tests.support.safetensors_files import write_folder
from tests.support.stores import NEW, OLD, HubCache, OllamaStore, names_below, weights

DAY = 86_400


def plan(places: Sequence[Place], *texts: str) -> Removal:
    """The plan to delete what a user names."""
    models = scan(places).models
    stock = take_stock(places)
    wanted = [resolve(models, text) for text in texts]
    stock = with_files(stock, [file for model in wanted for file in model.files])
    held = [
        one
        for model, text in zip(wanted, texts, strict=True)
        for one in meant_by(model, text, stock)
    ]
    files = {entry.identity for entry in stock.entries}
    return plan_removal(held, models, stock, holders_of(files))


def going(removal: Removal) -> set[str]:
    return {name.path.name for name in removal.names}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models"
    path.mkdir()
    return path


@pytest.fixture
def hub(tmp_path: Path) -> HubCache:
    return HubCache(tmp_path / "hf" / "hub")


@pytest.fixture
def ollama(tmp_path: Path) -> OllamaStore:
    return OllamaStore(tmp_path / "ollama" / "models")


def test_a_split_model_goes_with_all_its_parts_and_its_projector(folder: Path) -> None:
    parts = write_split_llama(folder, "Big-Q4_K_M", 3)
    projector = write_gguf(
        folder / "mmproj-Big-F16.gguf",
        {"general.architecture": "clip", "clip.vision.projection_dim": 64},
    )
    write_llama(folder / "Other.gguf")

    removal = plan([Place(Source.FOLDER, folder)], "Big-Q4_K_M")

    assert going(removal) >= {part.name for part in parts}
    model = resolve(scan([Place(Source.FOLDER, folder)]).models, "Big-Q4_K_M")
    assert (model.projector == projector) == (projector.name in going(removal))
    assert "Other.gguf" not in going(removal)


def test_a_projector_that_another_quant_needs_stays(folder: Path) -> None:
    write_llama(folder / "See-Q4_0.gguf", name="one")
    write_llama(folder / "See-Q8_0.gguf", name="two")
    model = resolve(scan([Place(Source.FOLDER, folder)]).models, "See-Q4_0")
    assert model.header is not None
    width = model.header.hparams["llama.embedding_length"]
    assert isinstance(width, int)
    write_gguf(
        folder / "mmproj-See.gguf",
        {"general.architecture": "clip", "clip.vision.projection_dim": width},
    )

    removal = plan([Place(Source.FOLDER, folder)], "See-Q4_0")
    both = plan([Place(Source.FOLDER, folder)], "See-Q4_0", "See-Q8_0")

    assert going(removal) == {"See-Q4_0.gguf"}
    assert "The projector stays: See-Q8_0 needs it." in removal.remarks
    assert going(both) == {"See-Q4_0.gguf", "See-Q8_0.gguf", "mmproj-See.gguf"}


def test_a_hard_link_elsewhere_keeps_the_bytes_and_the_plan_says_so(
    folder: Path, tmp_path: Path
) -> None:
    file = folder / "a.gguf"
    file.write_bytes(weights(tmp_path) + bytes(4096))
    os.link(file, tmp_path / "elsewhere")

    removal = plan([Place(Source.FOLDER, folder)], "a")

    assert removal.freed_bytes == 0
    assert removal.staying_bytes == file.stat().st_blocks * 512
    assert any("outside the stores" in remark for remark in removal.remarks)


def test_weights_that_another_model_of_ollama_has_stay(ollama: OllamaStore, tmp_path: Path) -> None:
    data = weights(tmp_path) + b"x" * 2_000_000
    ollama.model("llama", "8b", model=data, template=b"one")
    ollama.model("mine", "latest", model=data, template=b"two")

    removal = plan([ollama.place], "llama:8b")
    delete_for_good(removal)

    assert any("mine:latest in Ollama has them" in remark for remark in removal.remarks)
    assert ollama.path(data).read_bytes() == data
    assert not ollama.path(b"one").exists()
    assert ollama.path(b"two").exists()
    assert [m.name for m in scan([ollama.place]).models] == ["mine:latest"]
    delete_for_good(plan([ollama.place], "mine:latest"))
    assert list((ollama.folder / "blobs").iterdir()) == []


def test_a_damaged_manifest_keeps_every_blob(ollama: OllamaStore, tmp_path: Path) -> None:
    data = weights(tmp_path)
    ollama.model("llama", "8b", model=data)
    ollama.model("other", "1b", model=b"other").write_text("{")

    removal = plan([ollama.place], "llama:8b")

    assert going(removal) == {"8b"}
    assert any("other:1b is damaged" in remark for remark in removal.remarks)


def test_the_last_snapshot_takes_the_repository_with_it(hub: HubCache, tmp_path: Path) -> None:
    data = weights(tmp_path)
    hub.snapshot("org/gone", {"m.gguf": data, "README.md": b"card"})
    hub.snapshot("org/stays", {"n.gguf": weights(tmp_path, "other")})
    locks = hub.folder / ".locks" / "models--org--gone"
    locks.mkdir(parents=True)
    (locks / "x.lock").touch()

    delete_for_good(
        plan([hub.place], str(hub.folder / f"models--org--gone/snapshots/{OLD}/m.gguf"))
    )

    info = scan_cache_dir(hub.folder)
    assert not info.warnings
    assert [repo.repo_id for repo in info.repos] == ["org/stays"]
    assert not locks.exists()
    assert isinstance(try_to_load_from_cache("org/stays", "n.gguf", cache_dir=hub.folder), str)


def test_a_blob_that_another_revision_has_stays(hub: HubCache, tmp_path: Path) -> None:
    data = weights(tmp_path)
    old = hub.snapshot("org/m", {"m.gguf": data, "README.md": b"old"}, OLD, "old")
    new = hub.snapshot("org/m", {"m.gguf": data, "README.md": b"new"}, NEW)

    delete_for_good(plan([hub.place], str(old / "m.gguf")))

    info = scan_cache_dir(hub.folder)
    assert not info.warnings
    (repo,) = info.repos
    assert [revision.commit_hash for revision in repo.revisions] == [NEW]
    assert repo.size_on_disk == len(data) + 3
    assert (new / "m.gguf").read_bytes() == data


def test_one_quant_of_a_repository_goes_and_the_others_stay(hub: HubCache, tmp_path: Path) -> None:
    one, two = weights(tmp_path, "one"), weights(tmp_path, "two")
    folder = hub.snapshot("org/m", {"a-Q4_0.gguf": one, "a-Q8_0.gguf": two, "README.md": b"card"})

    removal = plan([hub.place], str(folder / "a-Q4_0.gguf"))
    delete_for_good(removal)

    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "a-Q8_0.gguf"]
    info = scan_cache_dir(hub.folder)
    assert not info.warnings
    assert info.size_on_disk == len(two) + 4


def test_a_file_that_is_listed_elsewhere_keeps_its_snapshot(
    hub: HubCache, folder: Path, tmp_path: Path
) -> None:
    one, two = weights(tmp_path, "one"), weights(tmp_path, "two")
    snapshot = hub.snapshot("org/m", {"a.gguf": one, "b.gguf": two})
    earlier = hub.snapshot("org/earlier", {"a.gguf": one})
    os.link(blob := (snapshot / "a.gguf").resolve(), folder / "linked")
    (folder / "linked").replace((earlier / "a.gguf").resolve())
    assert (earlier / "a.gguf").stat().st_ino == blob.stat().st_ino

    removal = plan([hub.place], str(snapshot / "b.gguf"))

    assert going(removal) == {"b.gguf", (snapshot / "b.gguf").resolve().name}


def test_a_folder_model_goes_and_a_users_own_file_in_it_stays(folder: Path) -> None:
    model = folder / "tiny"
    model.mkdir()
    write_folder(model)
    for name in ("tokenizer.json", "README.md"):
        (model / name).write_text("{}")
    (model / "my-notes.txt").write_text("mine")

    removal = plan([Place(Source.FOLDER, folder)], "tiny")
    delete_for_good(removal)

    assert [path.name for path in model.iterdir()] == ["my-notes.txt"]
    assert any("Other files" in remark for remark in removal.remarks)


def test_a_model_in_the_home_itself_takes_nothing_of_the_home_with_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_folder(home)
    hub = HubCache(home / ".cache" / "huggingface" / "hub")
    hub.snapshot("org/m", {"m.gguf": weights(tmp_path)})
    notes = home / ".cache" / "huggingface" / "download" / "x.metadata"
    notes.parent.mkdir()
    for path in (notes, home / "letter.txt", home / "README.md"):
        path.write_text("mine")
    before = names_below(home)

    removal = plan([Place(Source.FOLDER, home), hub.place], str(home / "config.json"))
    delete_for_good(removal)

    gone = before.keys() - names_below(home).keys()
    assert {Path(path).parent for path in gone} == {home}
    assert str(home / "letter.txt") not in gone
    assert str(home / "README.md") not in gone


def test_a_link_from_another_store_is_told_of(folder: Path, tmp_path: Path) -> None:
    file = write_llama(folder / "a.gguf")
    other = tmp_path / "lm-studio"
    other.mkdir()
    (other / "b.gguf").symlink_to(file)

    removal = plan([Place(Source.FOLDER, folder), Place(Source.LM_STUDIO, other)], str(file))

    assert f"Would lead nowhere: the link {other / 'b.gguf'}." in removal.remarks


def test_a_link_goes_and_what_it_leads_to_stays(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    file = write_llama(outside / "far.gguf")
    (folder / "near.gguf").symlink_to(file)

    removal = plan([Place(Source.FOLDER, folder)], "near")
    delete_for_good(removal)

    assert removal.remarks == (f"near.gguf is a link; what it leads to stays: {file}.",)
    assert removal.freed_bytes == 0
    assert file.exists()
    assert not (folder / "near.gguf").is_symlink()


def test_what_llama_cpp_noted_of_a_download_goes_with_it(folder: Path) -> None:
    write_llama(folder / "org_m.gguf")
    for name in ("org_m.gguf.json", "org_m.gguf.etag", "other.json"):
        (folder / name).write_text("{}")

    delete_for_good(plan([Place(Source.LLAMA_CPP, folder)], "org_m"))

    assert [path.name for path in folder.iterdir()] == ["other.json"]


def test_a_draft_beside_a_model_stays_and_is_named(folder: Path) -> None:
    write_llama(folder / "big.gguf", name="big")
    write_llama(folder / "big-draft-0.5b.gguf", name="draft")

    removal = plan([Place(Source.FOLDER, folder)], str(folder / "big.gguf"))

    assert going(removal) == {"big.gguf"}
    assert removal.remarks == ("big-draft-0.5b, which lies beside it, stays.",)


def test_who_has_the_file_open_is_told(folder: Path) -> None:
    file = write_llama(folder / "a.gguf")
    with file.open("rb"):
        removal = plan([Place(Source.FOLDER, folder)], "a")

    assert any(f"({os.getpid()})" in remark for remark in removal.remarks)


def test_what_was_moved_to_the_trash_comes_back_as_it_was(
    folder: Path, hub: HubCache, ollama: OllamaStore, tmp_path: Path
) -> None:
    write_split_llama(folder, "Big", 3)
    hub.snapshot("org/m", {"m.gguf": weights(tmp_path, "hub")})
    ollama.model("llama", "8b", model=weights(tmp_path, "ollama"), template=b"t")
    places = [Place(Source.FOLDER, folder), hub.place, ollama.place]
    before = names_below(folder, hub.folder, ollama.folder)
    trash = tmp_path / "trash"
    blob = str(hub.folder / f"models--org--m/snapshots/{OLD}/m.gguf")

    done = move_to_trash(plan(places, "Big", blob, "llama:8b"), places, trash, time.time())

    assert not names_below(folder, hub.folder, ollama.folder)
    assert not scan([*places, Place(Source.FOLDER, trash)]).models
    (bin_,) = bins(trashes(places, trash))
    assert (bin_.id, bin_.freed_bytes) == (done.trash, done.freed_bytes)
    assert put_back(bin_) == (done.names, ())
    assert names_below(folder, hub.folder, ollama.folder) == before
    assert bins(trashes(places, trash)) == []


def test_undo_overwrites_nothing(folder: Path, tmp_path: Path) -> None:
    file = write_llama(folder / "a.gguf")
    places = [Place(Source.FOLDER, folder)]
    move_to_trash(plan(places, "a"), places, tmp_path / "trash", time.time())
    file.write_bytes(b"newer")

    (bin_,) = bins([tmp_path / "trash"])
    back, remarks = put_back(bin_)

    assert back == 0
    assert remarks == (f"Not put back, something is there by now: {file}.",)
    assert file.read_bytes() == b"newer"
    assert bins([tmp_path / "trash"]) == [bin_]


def test_the_trash_empties_itself_after_its_days(folder: Path, tmp_path: Path) -> None:
    write_llama(folder / "a.gguf")
    places = [Place(Source.FOLDER, folder)]
    removal = plan(places, "a")
    move_to_trash(removal, places, tmp_path / "trash", now=1000 * DAY)

    assert empty([tmp_path / "trash"], 1014 * DAY, days=14) == 0
    assert len(bins([tmp_path / "trash"])) == 1
    assert empty([tmp_path / "trash"], 1014.5 * DAY, days=14) == removal.freed_bytes
    assert not (tmp_path / "trash").exists()


def test_one_change_at_a_time() -> None:
    with my_turn(), pytest.raises(HouseError, match="Another modeldeck"), my_turn(seconds=0):
        pass
    with my_turn(seconds=0):
        pass


def test_a_file_that_changed_since_is_not_deleted(folder: Path) -> None:
    file = write_llama(folder / "a.gguf")
    removal = plan([Place(Source.FOLDER, folder)], "a")
    newer = folder / "new"
    newer.write_bytes(file.read_bytes())
    newer.replace(file)

    with pytest.raises(HouseError, match="not what it was"):
        delete_for_good(removal)

    assert file.exists()


def test_a_model_reached_by_a_link_out_of_the_store_can_be_deleted(
    folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    file = write_llama(outside / "a.gguf")
    (folder / "link").symlink_to(outside)

    delete_for_good(plan([Place(Source.FOLDER, folder)], "a"))

    assert not file.exists()
    assert (folder / "link").is_symlink()


def test_a_record_that_somebody_else_could_have_written_is_not_followed(tmp_path: Path) -> None:
    trash = tmp_path / "trash"
    bin_ = trash / "1"
    bin_.mkdir(parents=True)
    (bin_ / "00000").write_text("mine now")
    goal = tmp_path / "home" / ".profile"
    record = {
        "at": 1.0,
        "titles": ["m"],
        "names": [{"path": str(goal), "stored": "00000"}],
        "freed_bytes": 1,
    }
    (bin_ / "removal.json").write_text(json.dumps(record))
    trash.chmod(0o777)
    assert bins([trash]) == []
    assert empty([trash], now=1e12) == 0
    trash.chmod(0o700)
    assert [name.path for name in bins([trash])[0].names] == [goal]
    (tmp_path / "link").symlink_to(trash)
    assert bins([tmp_path / "link"]) == []
