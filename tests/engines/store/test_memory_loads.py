"""What loads took: kept once for a model and its options, the newest build's alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.store.database import Database
from modeldeck.engines.store.memory_loads import Load, MemoryLoads, Place
from modeldeck.engines.store.schemas import SCHEMAS
from tests.support.pairs import pair

HERE = Place("RTX 3060 12GB", "llama_server", "b100")
LOAD = Load(HERE, "llama", "gpu", "small:1", "8192 f16", {"kv_gpu_bytes": 5}, {"kv_gpu_bytes": 4})

_WRITE = """
from pathlib import Path
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.memory_loads import Load, MemoryLoads, Place
from modeldeck.engines.store.schemas import SCHEMAS

def turn(path, name):
    database = Database.open(Path(path), SCHEMAS)
    kept = MemoryLoads(database)
    for number in range(100):
        place = Place("a card", "llama_server", "b1")
        kept.keep(Load(place, "llama", "gpu", f"model-{number}", "plan", {name: number}, {}))
    database.close()
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "deck.db", SCHEMAS)
    yield opened
    opened.close()


def test_a_load_comes_back_as_it_was(database: Database) -> None:
    MemoryLoads(database).keep(LOAD)
    assert MemoryLoads(database).of_newest_builds() == [LOAD]


def test_the_same_load_again_counts_once_and_the_last_time(database: Database) -> None:
    kept = MemoryLoads(database)
    kept.keep(LOAD)
    kept.keep(LOAD._replace(plan="4096 f16"))
    again = LOAD._replace(measured={"kv_gpu_bytes": 6})
    kept.keep(again)
    assert kept.of_newest_builds() == [LOAD._replace(plan="4096 f16"), again]


def test_what_an_older_build_took_is_not_used_until_it_is_back(database: Database) -> None:
    kept = MemoryLoads(database)
    newer = LOAD._replace(place=HERE._replace(build="b200"))
    other_card = LOAD._replace(place=HERE._replace(gpu=""))
    other_engine = LOAD._replace(place=HERE._replace(engine="llama_cpp_python"))
    for load in (LOAD, other_card, other_engine, newer):
        kept.keep(load)
    assert kept.of_newest_builds() == [other_card, other_engine, newer]
    kept.keep(LOAD)
    assert kept.of_newest_builds() == [other_card, other_engine, LOAD]


def test_only_so_many_loads_are_kept(database: Database) -> None:
    kept = MemoryLoads(database)
    for number in range(510):
        kept.keep(LOAD._replace(model=f"m:{number}"))
    models = [load.model for load in kept.of_newest_builds()]
    assert models == [f"m:{number}" for number in range(10, 510)]


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"a": 1.5, "b": true, "c": "d"}', "[1]"])
def test_what_cannot_be_read_was_never_loaded(database: Database, text: str) -> None:
    kept = MemoryLoads(database)
    kept.keep(LOAD)
    kept.keep(LOAD._replace(plan="other"))
    with database.transaction() as connection:
        connection.execute("UPDATE memory_loads SET measured = ? WHERE plan = 'other'", (text,))
    assert kept.of_newest_builds() == [LOAD]


def test_two_decks_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deck.db"
    Database.open(path, SCHEMAS).close()
    with pair(_WRITE) as decks:
        decks.turn((path, "first"), (path, "second"))
    database = Database.open(path, SCHEMAS)
    try:
        found = MemoryLoads(database).of_newest_builds()
    finally:
        database.close()
    assert sorted(load.model for load in found) == sorted(f"model-{n}" for n in range(100))
    assert all(set(load.measured) in ({"first"}, {"second"}) for load in found)
