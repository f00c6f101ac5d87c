"""What is on the disk is counted as the disk has it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.house.stock import take_stock
from modeldeck.engines.house.usage import DiskUse, disk_use
from modeldeck.engines.types import Source
from tests.support.gguf_files import write_llama
from tests.support.stores import NEW, OLD, HubCache, OllamaStore, weights


def look(*places: Place) -> DiskUse:
    return disk_use(scan(places).models, take_stock(places))


def du(*folders: Path) -> int:
    """What ``du`` says of the files below: folders themselves are not counted here."""
    files = [str(f) for d in folders for f in d.rglob("*") if f.is_file() and not f.is_symlink()]
    words = ["du", "--block-size=1", "--total", "--", *files]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return int(out.splitlines()[-1].split()[0])


def test_hard_links_and_symbolic_links_count_once_as_du_counts(tmp_path: Path) -> None:
    data = weights(tmp_path) + os.urandom(50_000)
    hub = HubCache(tmp_path / "hub")
    hub.snapshot("org/m", {"m.gguf": data}, OLD, "old")
    hub.snapshot("org/m", {"m.gguf": data}, NEW)
    ollama = OllamaStore(tmp_path / "ollama")
    ollama.model("m", "8b", model=data)
    folder = tmp_path / "models"
    folder.mkdir()
    os.link(ollama.path(data), folder / "m.gguf")
    places = [hub.place, ollama.place, Place(Source.FOLDER, folder)]

    use = look(*places)

    assert use.whole.allocated_bytes == du(hub.folder, ollama.folder, folder)
    by_source = {one.source: one.usage for one in use.stores}
    for source, root in ((Source.HUGGING_FACE, hub.folder), (Source.OLLAMA, ollama.folder)):
        assert by_source[source].allocated_bytes == du(root)
    blocks = (folder / "m.gguf").stat().st_blocks * 512
    assert by_source[Source.FOLDER].shared_bytes == blocks
    assert by_source[Source.HUGGING_FACE].shared_bytes == 0
    assert sum(one.usage.allocated_bytes for one in use.stores) == (
        use.whole.allocated_bytes + blocks
    )


def test_a_sparse_file_takes_what_it_was_given(tmp_path: Path) -> None:
    file = write_llama(tmp_path / "holes.gguf")
    with file.open("ab") as end:
        end.truncate(file.stat().st_size + (1 << 30))

    (one,) = look(Place(Source.FOLDER, tmp_path)).models

    assert one.usage.apparent_bytes == file.stat().st_size
    assert one.usage.allocated_bytes == file.stat().st_blocks * 512 < 1 << 20


def test_a_store_inside_another_counts_once(tmp_path: Path) -> None:
    hub = HubCache(tmp_path / "all" / "hub")
    hub.snapshot("org/m", {"m.gguf": weights(tmp_path)})

    use = look(Place(Source.FOLDER, tmp_path / "all"), hub.place)

    assert [one.usage.files for one in use.stores] == [0, 2]
    assert use.whole.allocated_bytes == du(hub.folder)


def test_weights_that_two_models_of_ollama_share_are_said_to_be_shared(tmp_path: Path) -> None:
    data = weights(tmp_path) + os.urandom(50_000)
    ollama = OllamaStore(tmp_path / "ollama")
    ollama.model("m", "8b", model=data, template=b"1")
    ollama.model("m", "mine", model=data, template=b"2")

    (one,) = look(ollama.place).models

    assert one.model.names == ("m:8b", "m:mine")
    assert one.usage.allocated_bytes == ollama.path(data).stat().st_blocks * 512
