"""Measured rates: kept by what they can speak for, the median of a run, the newest only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.store.database import Database
from modeldeck.engines.store.host_speeds import HostSpeeds
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.store.speed_residuals import Residual, Run, SpeedKey, SpeedResiduals

KEY = SpeedKey("RTX 3060 12GB", "llama_server", "Q4", "gpu")
RUN = Run("qwen3-8b", "8192 f16 37", "b1234")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "deck.db", SCHEMAS)
    yield opened
    opened.close()


def test_a_stutter_in_one_reply_counts_for_nothing(database: Database) -> None:
    kept = SpeedResiduals(database)
    for measured in (50.0, 3.0, 52.0):
        kept.keep(KEY, RUN, measured, 48.0)
    assert kept.all()[KEY] == [Residual(50.0, 48.0, 3)]


def test_runs_are_told_apart_and_so_are_cards_engines_types_and_placements(
    database: Database,
) -> None:
    kept = SpeedResiduals(database)
    kept.keep(KEY, RUN, 50.0, 48.0)
    kept.keep(KEY, RUN._replace(build="b1300"), 55.0, 48.0)
    assert len(kept.all()[KEY]) == 2
    for other in (
        KEY._replace(gpu="RTX 3090 24GB"),
        KEY._replace(engine="ollama"),
        KEY._replace(family="IQ2"),
        KEY._replace(placement="gpu+cpu"),
    ):
        assert other not in kept.all()


def test_only_the_newest_replies_of_a_run_are_kept(database: Database) -> None:
    kept = SpeedResiduals(database)
    for _ in range(15):
        kept.keep(KEY, RUN, 10.0, 48.0)
    for _ in range(15):
        kept.keep(KEY, RUN, 50.0, 48.0)
    assert kept.all()[KEY] == [Residual(50.0, 48.0, 15)]


def test_the_memory_of_a_machine_is_what_was_measured_last(database: Database) -> None:
    speeds = HostSpeeds(database)
    assert speeds.of("a box") is None
    speeds.keep("a box", 30e9)
    speeds.keep("a box", 40e9)
    assert speeds.of("a box") == 40e9
