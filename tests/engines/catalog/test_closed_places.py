"""Places that this user may not even ask about, as Ollama's own home mostly is."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.resolve import resolve
from modeldeck.engines.catalog.scan import scan, unreadable_in
from modeldeck.engines.doctor.look import facts_now
from modeldeck.engines.doctor.types import Facts
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.hardware.types import HardwareSnapshot, HostSnapshot
from modeldeck.engines.paths import is_file, is_folder
from modeldeck.engines.types import Source
from tests.support.closed import closed
from tests.support.gguf_files import write_llama


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Ollama's store in a home that is closed later."""
    (tmp_path / "ollama" / ".ollama" / "models" / "manifests").mkdir(parents=True)
    return tmp_path / "ollama" / ".ollama" / "models"


def test_nobody_knows_what_is_in_a_closed_folder(store: Path) -> None:
    assert is_folder(store)
    assert is_folder(store / "no") is False
    with closed(store.parent.parent):
        assert is_folder(store) is None
        assert not is_file(store / "x.gguf")


def test_a_closed_store_is_named_and_the_scan_goes_on(store: Path) -> None:
    places = [Place(Source.OLLAMA, store), Place(Source.FOLDER, store / "more")]
    with closed(store.parent.parent):
        found = scan(places)
        unreadable = unreadable_in(places)
    assert found.models == ()
    assert f"cannot be read: 2 folders ({store / 'manifests'}, {store / 'more'})" in found.notes[0]
    assert unreadable.count == 2


def test_a_closed_folder_within_a_store_is_named(tmp_path: Path) -> None:
    write_llama(tmp_path / "models" / "theirs" / "x.gguf")
    places = [Place(Source.FOLDER, tmp_path / "models" / "theirs")]
    with closed(tmp_path / "models" / "theirs"):
        assert str(tmp_path / "models" / "theirs") in scan(places).notes[0]


def test_many_closed_folders_are_counted() -> None:
    from modeldeck.engines.catalog.unreadable import Unreadable

    unreadable = Unreadable()
    for number in range(7):
        unreadable.add(Path(f"/srv/\x1b{number}"))
    assert str(unreadable) == "7 folders (/srv/0, /srv/1, /srv/2 and 4 more)"


def test_the_doctor_goes_on_too(store: Path) -> None:
    def look() -> Facts:
        return facts_now(
            hardware=HardwareSnapshot((), HostSnapshot("box", "", 1)),
            engines=(),
            places=(store,),
            data=store / "manifests",
            environ={},
            encoding="utf-8",
        )

    open_to_us = look()
    assert [disk.path for disk in open_to_us.models] == [store]
    assert open_to_us.data is not None
    assert open_to_us.data.readable
    with closed(store.parent.parent):
        facts = look()
        assert facts.models == ()
        assert facts.data is not None
        assert not facts.data.readable
        with pytest.raises(ModelNotFound):
            resolve((), str(store / "x.gguf"))
