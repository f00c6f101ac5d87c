"""What the deck and the command line are built from, behind plain calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import EngineMissing, SettingsError
from modeldeck.engines.fit.cards import card_of
from modeldeck.engines.scripted import Script, ScriptedEngine
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.types import Device, LocalModel, Source
from modeldeck.tui.cards import Cards
from modeldeck.tui.services import EnginesMade, Services
from modeldeck.tui.settings import Settings
from tests.support.decks import QUIET, dense

CPU = Device("CPU", "", None, None)
CUDA = Device("CUDA0", "", None, None)


@pytest.fixture
def home(fresh_home: Path) -> Path:
    (fresh_home / "models").mkdir()
    dense(fresh_home / "models", "Small-3B", blocks=28, embedding=3072)
    return fresh_home


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    database = Database.open(home / "deck.db", SCHEMAS)
    yield database
    database.close()


def services(
    home: Path, database: Database, *engines: Engine, settings: Settings | None = None
) -> Services:
    return Services(
        settings or Settings(model_dirs=(home / "models",)),
        (),
        home / "config.toml",
        database,
        lambda: EnginesMade(engines, ()),
        {"XDG_CACHE_HOME": str(home / "cache")},
    )


def small(found: Services) -> LocalModel:
    return next(model for model in found.scan_all().models if model.name == "Small-3B")


def test_the_demo_model_is_always_there(home: Path, database: Database) -> None:
    found = services(home, database).scan_all().models
    assert {model.source for model in found} == {Source.FOLDER, Source.DEMO}


def test_only_stores_of_others_that_are_here_are_named(home: Path, database: Database) -> None:
    assert not any("ollama" in name for name in services(home, database).place_names)
    (home / ".ollama" / "models").mkdir(parents=True)
    assert any("ollama" in name for name in services(home, database).place_names)


@pytest.mark.parametrize(
    ("settings", "name", "what_if"),
    [
        (Settings(gpu="RTX 4090"), "RTX 4090", True),
        (Settings(vram="8GiB"), "8", True),
        (Settings(), "RTX 3060", False),
    ],
)
def test_the_card_that_is_set_comes_before_the_one_that_is_here(
    home: Path, database: Database, settings: Settings, name: str, what_if: bool
) -> None:
    card = services(home, database, settings=settings).cards.card(QUIET)
    assert name in card.name
    assert card.what_if == what_if


def test_a_little_memory_more_or_less_is_no_reason_to_judge_again() -> None:
    card = card_of(QUIET)
    assert not Cards.moved(card, card._replace(free_bytes=card.free_bytes - (1 << 20)))
    assert Cards.moved(card, card._replace(free_bytes=card.free_bytes - (100 << 20)))
    assert Cards.moved(card, card._replace(name="another"))


def test_the_memory_of_a_machine_is_measured_once_and_kept(home: Path, database: Database) -> None:
    host = QUIET.host
    first = services(home, database).cards
    assert first.card(QUIET).host is None
    measured = first.with_host(first.card(QUIET), host).host
    assert measured is not None
    assert measured.bandwidth_bytes_per_second > 1e8
    assert services(home, database).cards.card(QUIET).host == measured
    another = QUIET._replace(host=host._replace(cpu_name="another processor"))
    assert services(home, database).cards.card(another).host is None


def test_an_engine_is_called_by_its_name_however_it_is_hyphened(
    home: Path, database: Database
) -> None:
    engine = ScriptedEngine(name="llama_cpp_python")
    found = services(home, database, engine)
    assert found.engine("llama-cpp-python") is engine
    with pytest.raises(EngineMissing, match=r"no engine called vllm. Engines: llama_cpp_python"):
        found.engine("vllm")


def test_a_model_goes_to_the_card_only_where_the_engine_can_use_it(
    home: Path, database: Database
) -> None:
    found = services(home, database)
    model = small(found)
    assert found.plan(model, 8192, "f16", QUIET, (CPU,)).gpu_layers == 0
    assert found.plan(model, 8192, "f16", QUIET, (CUDA, CPU)).gpu_layers == 28 + 1
    assert found.plan(model, 8192, "f16", None, (CUDA,)).gpu_layers == 0


async def test_the_engine_is_the_policys_or_the_users(home: Path, database: Database) -> None:
    first, second = ScriptedEngine(), ScriptedEngine(name="second")
    found = services(home, database, first, second)
    model = small(found)
    assert (await found.engine_for(model))[0] is first
    assert (await found.engine_for(model, "second"))[0] is second
    assert found.wishes.choose_engine(model, "second") == {"Small-3B": "second"}
    assert services(home, database, first).wishes.engines() == {"Small-3B": "second"}
    assert found.wishes.choose_engine(model, None) == {}


async def test_without_an_engine_it_says_what_to_do(home: Path, database: Database) -> None:
    missing = ScriptedEngine(Script(missing="It is not installed."))
    found = services(home, database, missing)
    with pytest.raises(EngineMissing, match="No engine here runs GGUF") as caught:
        await found.engine_for(small(found))
    assert caught.value.next_step


def test_a_setting_that_cannot_be_kept_is_said(home: Path, database: Database) -> None:
    (home / "config.toml").write_text("not toml [")
    with pytest.raises(SettingsError, match="could not be kept"):
        services(home, database).remember("theme", "deck-light")
