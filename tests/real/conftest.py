"""The parts of a real machine that the stories here begin with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.demo import model_path
from tests.support.machine import Machine
from tests.support.random_model import SLOW, make_random_model


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes slowly enough to be watched, and never ends by itself."""
    return make_random_model(tmp_path_factory.mktemp("models") / "slow.gguf", SLOW)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with the demo model under a second name, on which nothing may be left behind."""
    machine = Machine(tmp_path / "home")
    machine.models.mkdir(parents=True)
    machine.runtime.mkdir(mode=0o700)
    machine.temporary.mkdir()
    machine.settings('model_dirs = ["~/models"]\n')
    shutil.copy(model_path(), machine.models / "second.gguf")
    yield machine
    left = [*machine.runtime.iterdir(), *machine.temporary.iterdir()]
    assert not left, f"left behind: {left}"
