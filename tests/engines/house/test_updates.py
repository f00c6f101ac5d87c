"""What its publisher has now is held against what is here."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.catalog.receipts import Receipt, keep_receipts, receipts_in
from modeldeck.engines.formats.web import Patience
from modeldeck.engines.house.stock import take_stock
from modeldeck.engines.house.updates import FOLDER, Local, State, Update, ask_all, compare, here
from tests.support.file_server import serving
from tests.support.hub import repository
from tests.support.oci_registry import oci_registry
from tests.support.stores import NEW, OLD, HubCache, OllamaStore, weights

QUICK = Patience(1.0, 1.0, 5.0, 1, 5.0, 1, 0.0, 0.0)


@pytest.fixture
def hub(tmp_path: Path) -> HubCache:
    return HubCache(tmp_path / "hub")


def ask(hub: HubCache, served: dict[str, bytes]) -> dict[str, Update]:
    with serving(served) as server:
        found = ask_all(here(take_stock([hub.place])), {"HF_ENDPOINT": server.url}, QUICK)
    return {update.local.name: update for update in found}


def test_new_weights_are_newer_and_another_readme_is_not(hub: HubCache, tmp_path: Path) -> None:
    old, new = weights(tmp_path, "old"), weights(tmp_path, "new")
    hub.snapshot("org/moved", {"m.gguf": old, "README.md": b"old"})
    hub.snapshot("org/same", {"m.gguf": old, "README.md": b"card"})
    hub.snapshot("org/more", {"m.gguf": old})
    served = {
        **repository("org/moved", {"m.gguf": new, "README.md": b"new"}, commit=NEW),
        **repository("org/same", {"m.gguf": old, "README.md": b"card"}, commit=OLD),
        **repository("org/more", {"m.gguf": old, "more.gguf": new}, commit=NEW),
    }

    found = ask(hub, served)

    moved = found["org/moved"]
    assert (moved.state, moved.version, moved.changed) == (
        State.NEWER,
        NEW,
        ("m.gguf", "README.md"),
    )
    assert moved.local.target == "hf:org/moved"
    assert (found["org/same"].state, found["org/same"].note) == (State.CURRENT, "")
    assert found["org/more"].state is State.CURRENT
    assert found["org/more"].note == "Other files of the repository changed."


def test_a_branch_is_asked_for_by_its_name(hub: HubCache, tmp_path: Path) -> None:
    data = weights(tmp_path)
    hub.snapshot("org/m", {"m.gguf": data}, OLD, "4.0bpw")

    found = ask(hub, repository("org/m", {"m.gguf": data}, revision="4.0bpw", commit=OLD))

    assert {name: one.state for name, one in found.items()} == {"org/m@4.0bpw": State.CURRENT}


def test_what_is_gone_and_what_cannot_be_told_is_said(hub: HubCache, tmp_path: Path) -> None:
    data = weights(tmp_path)
    hub.snapshot("org/gone", {"m.gguf": data})
    hub.snapshot("org/renamed", {"m.gguf": data})
    hub.snapshot("org/mirror", {"m.gguf": data})
    served = {
        **repository("org/renamed", {"n.gguf": data}, commit=NEW),
        **repository("org/mirror", {"m.gguf": data}, blobs=False, commit=NEW),
    }

    found = ask(hub, served)

    assert found["org/gone"].state is State.GONE
    assert found["org/renamed"].state is State.GONE
    assert found["org/mirror"].state is State.NEWER
    assert "does not say which files" in found["org/mirror"].note


def test_offline_is_said_of_each(hub: HubCache, tmp_path: Path) -> None:
    hub.snapshot("org/m", {"m.gguf": weights(tmp_path)})
    mine = here(take_stock([hub.place]))

    (closed,) = ask_all(mine, {"HF_ENDPOINT": "http://127.0.0.1:9"}, QUICK)
    (offline,) = ask_all(mine, {"HF_HUB_OFFLINE": "1"}, QUICK)

    assert (closed.state, closed.unreachable) == (State.UNKNOWN, True)
    assert (offline.state, offline.unreachable) == (State.UNKNOWN, True)


def test_layers_of_a_real_registry_tell_what_changed(
    tmp_path: Path, registry_program: Path
) -> None:
    store = OllamaStore(tmp_path / "ollama")
    data = weights(tmp_path)
    (tmp_path / "registry").mkdir()
    with oci_registry(registry_program, tmp_path / "registry") as registry:
        registry.push("library/m:8b", data, {"template": b"old"})
        registry.push("library/t:1b", data, {"template": b"new"})
        for model, tag in (("m", "8b"), ("t", "1b"), ("mine", "latest")):
            path = store.model(model, tag, model=data, template=b"old")
            new = store.folder / "manifests" / registry.host / "library" / model / tag
            new.parent.mkdir(parents=True)
            path.rename(new)
        found = ask_all(here(take_stock([store.place])), {}, QUICK)

    states = {update.local.name.rpartition("/")[2]: update for update in found}
    assert states["m:8b"].state is State.CURRENT
    assert (states["t:1b"].state, states["t:1b"].changed) == (State.NEWER, ("template",))
    assert states["mine:latest"].state is State.LOCAL


parts = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("123"), max_size=4)


@given(parts, parts, st.sampled_from(("ollama", "hugging-face")))
def test_only_what_differs_is_news(
    mine: dict[str, str], theirs: dict[str, str], source: str
) -> None:
    local = Local("m", source, "1", mine, "t")

    update = compare(local, "2", theirs)

    same = all(theirs.get(name) == state for name, state in mine.items())
    if source == "ollama":
        same = mine == theirs
    assert (update.state is State.CURRENT) == same
    assert compare(local, "1", mine).state is State.CURRENT


def receipt(folder: Path, target: str, name: str, data: bytes, state: str) -> Receipt:
    """A file as a pull has put it into a plain folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    found = path.stat()
    repository = "org/m" if target.startswith("hf:") else "registry.ollama.ai/library/m"
    return Receipt(
        str(path),
        str(folder),
        target,
        repository,
        "main" if target.startswith("hf:") else "latest",
        OLD,
        name,
        state,
        found.st_size,
        found.st_mtime_ns,
    )


@pytest.mark.parametrize("changed", [False, True])
def test_what_was_pulled_into_a_plain_folder_is_asked_for_too(
    tmp_path: Path, changed: bool
) -> None:
    old, new = weights(tmp_path, "old"), weights(tmp_path, "new")
    state = hashlib.sha256(old).hexdigest()
    kept = tmp_path / "receipts"
    keep_receipts(kept, [receipt(tmp_path / "plain", "hf:org/m:m.gguf", "m.gguf", old, state)])
    there = {"m.gguf": new if changed else old}
    with serving(repository("org/m", there, commit=NEW if changed else OLD)) as server:
        asked = here(take_stock([]), receipts_in(kept))
        (update,) = ask_all(asked, {"HF_ENDPOINT": server.url}, QUICK)
    assert update.state is (State.NEWER if changed else State.CURRENT)
    assert update.changed == (("m.gguf",) if changed else ())
    local = update.local
    assert (local.name, local.source, local.version) == ("org/m", FOLDER, OLD)
    assert (local.target, local.folder) == ("hf:org/m:m.gguf", str(tmp_path / "plain"))


def test_a_file_that_was_changed_moved_or_removed_has_no_receipt(tmp_path: Path) -> None:
    kept, plain = tmp_path / "receipts", tmp_path / "plain"
    names = ("same.gguf", "changed.gguf", "gone.gguf")
    keep_receipts(kept, [receipt(plain, "hf:org/m", name, b"x", "s") for name in names])
    (plain / "changed.gguf").write_bytes(b"yy")
    (plain / "gone.gguf").unlink()
    assert [one.name for one in receipts_in(kept)] == ["same.gguf"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"path": 5}', "null"])
def test_a_receipt_that_is_damaged_is_none(tmp_path: Path, text: str) -> None:
    kept = tmp_path / "receipts"
    keep_receipts(kept, [receipt(tmp_path / "plain", "hf:org/m", "m.gguf", b"x", "s")])
    (place,) = kept.iterdir()
    assert len(receipts_in(kept)) == 1
    place.write_text(text, encoding="utf-8")
    assert receipts_in(kept) == ()


def test_without_a_folder_for_them_there_are_none(tmp_path: Path) -> None:
    assert receipts_in(tmp_path / "nothing") == ()
    (tmp_path / "file").touch()
    keep_receipts(tmp_path / "file", [receipt(tmp_path, "hf:org/m", "m.gguf", b"x", "s")])
