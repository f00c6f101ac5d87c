"""Models with random weights, made once."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from modeldeck.engines.types import LocalModel, ModelFormat, Source
from tests.support.random_model import SLOW, TINY, Size, make_random_model
from tests.support.random_projector import make_random_projector


def local_model(path: Path) -> LocalModel:
    """``path`` as the catalog would list it, its header unread."""
    size_bytes = path.stat().st_size
    return LocalModel(path.stem, path, (path,), Source.FOLDER, ModelFormat.GGUF, size_bytes)


def _shared_model(factory: pytest.TempPathFactory, name: str, size: Size) -> LocalModel:
    """A model that the workers of one run share: the first to come makes it."""
    # A worker's base directory lies in that of the run.
    folder = factory.getbasetemp()
    folder = folder.parent if folder.name.startswith("popen-") else folder
    path = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            make_random_model(path, size)
    return local_model(path)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """Loads at once and writes thousands of tokens per second."""
    return _shared_model(tmp_path_factory, "tiny.gguf", TINY)


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """Writes slowly enough to be stopped in the middle, and never ends by itself."""
    return _shared_model(tmp_path_factory, "slow.gguf", SLOW)


@pytest.fixture(scope="session")
def seeing_model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """A model whose answers hang on the image it is shown."""
    folder = tmp_path_factory.mktemp("seeing")
    model = local_model(make_random_model(folder / "seeing.gguf", attention=0.5))
    projector = make_random_projector(folder / "mmproj-seeing.gguf", TINY.width)
    return model._replace(projector=projector)


@pytest.fixture
def broken_model(tiny_model: LocalModel, tmp_path: Path) -> LocalModel:
    """A file with a sound header that is cut off in the middle of its weights."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(tiny_model.path.read_bytes()[:400_000])
    return local_model(path)
