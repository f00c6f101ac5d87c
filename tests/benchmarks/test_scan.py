"""Looking through very many models that were looked at before."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import SCHEMA, HeaderCache
from modeldeck.engines.types import Source
from tests.support.decks import dense

pytestmark = pytest.mark.bench

MODELS = 1000


def test_a_thousand_models_are_scanned_soon(tmp_path: Path, measured: Callable[..., None]) -> None:
    for number in range(MODELS):
        dense(tmp_path / "models", f"model-{number:04}", blocks=20 + number % 40, embedding=2048)
    places = [Place(Source.FOLDER, tmp_path / "models")]

    def seconds() -> float:
        database = Database.open(tmp_path / "headers.db", (SCHEMA,))
        cache = HeaderCache(database)
        begun = time.perf_counter()
        found = scan(places, cache)
        took = time.perf_counter() - begun
        cache.save()
        database.close()
        assert len(found.models) == MODELS
        assert all(model.header is not None for model in found.models)
        return took

    measured("1,000 models scanned for the first time", seconds(), unit="s")
    again = [seconds() for _ in range(5)]
    measured("1,000 models scanned again", *again, unit="s", limit=1)
