"""Kept shapes: made once for a header, anew for another, and there again at the next start."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit import shapes as module
from modeldeck.engines.fit.shape import Unjudged
from modeldeck.engines.fit.shape_text import Written, decode, encode
from modeldeck.engines.fit.shapes import Shapes
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import CachedHeader, HeaderCache, Stamp
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.store.shapes import ShapeStore
from modeldeck.engines.types import LocalModel, ModelFormat, ModelHeader, Source
from tests.support.fit_headers import llama

MAMBA = llama()._replace(architecture="no such architecture")


def model(name: str, header: ModelHeader, stamp: str = "as it was") -> LocalModel:
    path = Path("/models", name)
    return LocalModel(
        name, path, (path,), Source.FOLDER, ModelFormat.GGUF, 1, header=header, stamp=stamp
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "deck.db", SCHEMAS)
    yield opened
    opened.close()


def kept(database: Database, *models: LocalModel) -> None:
    """What a start leaves behind: headers and shapes."""
    headers, shapes = HeaderCache(database), Shapes(ShapeStore(database))
    for one in models:
        assert one.header is not None
        headers.put(one.path, Stamp(one.stamp), CachedHeader(one.header, None))
        shapes.of(one, one.header)
    headers.save()
    shapes.save()


def recalled(database: Database, *models: LocalModel) -> int:
    """How many shapes are at hand in the next start without any being made."""
    shapes = Shapes(ShapeStore(database))
    shapes.recall(models)
    return len(shapes)


def test_a_shape_is_made_once_for_a_header_and_anew_for_another() -> None:
    shapes, header = Shapes(), llama()
    first = shapes.of(model("a", header), header)
    assert first == shape_of(header)
    assert shapes.of(model("a", header), header) is first
    other = llama(layers=20)
    assert shapes.of(model("a", other), other) == shape_of(other) != first


def test_models_that_are_gone_are_forgotten() -> None:
    shapes, header = Shapes(), llama()
    one = model("a", header)
    first = shapes.of(one, header)
    shapes.of(model("b", header), header)
    shapes.keep_only({one.id})
    assert len(shapes) == 1
    assert shapes.of(one, header) is first


def test_the_next_start_has_the_same_shapes(database: Database) -> None:
    models = [model("a", llama()), model("b", llama(layers=20)), model("c", MAMBA)]
    kept(database, *models)
    shapes = Shapes(ShapeStore(database))
    shapes.recall(models)
    assert len(shapes) == 3
    for one in models:
        assert one.header is not None
        assert shapes.of(one, one.header) == shape_of(one.header)


def test_a_file_that_changed_has_its_shape_made_anew(database: Database) -> None:
    kept(database, model("a", llama()))
    assert recalled(database, model("a", llama(layers=20), "another state")) == 0


def test_shapes_that_other_code_made_are_not_used(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(database, model("a", llama()))
    monkeypatch.setattr(module, "_state_of_makers", lambda: "the next release")
    assert recalled(database, model("a", llama())) == 0


def test_what_was_not_read_from_files_is_not_kept(database: Database) -> None:
    kept(database, model("a", llama(), stamp=""), model("\udcff", llama()))
    assert database.rows("SELECT path FROM shapes") == []


def test_a_shape_that_was_spoilt_is_made_anew(database: Database) -> None:
    spoilt = ["", "[]", "{}", '{"why": 1', '{"plain":[],"ends":[5],"tables":[],"phases":[]}']
    models = [model(str(at), llama()) for at in range(len(spoilt))]
    kept(database, *models)
    for one, text in zip(models, spoilt, strict=True):
        with database.transaction() as connection:
            connection.execute("UPDATE shapes SET shape = ? WHERE path = ?", (text, one.id))
    assert recalled(database, *models) == 0


def test_a_closed_database_only_makes_it_slower(database: Database) -> None:
    shapes, header = Shapes(ShapeStore(database)), llama()
    one = model("a", header)
    database.close()
    shapes.recall([one])
    assert shapes.of(one, header) == shape_of(header)
    shapes.save()


def test_shapes_go_when_their_headers_are_forgotten(database: Database) -> None:
    kept(database, model("a", llama()))
    with database.transaction() as connection:
        connection.execute("DELETE FROM headers")
    kept(database, model("b", llama()))
    assert [row["path"] for row in database.rows("SELECT path FROM shapes")] == ["/models/b"]


@given(layers=st.integers(1, 90), text=st.text(), tables=st.binary(max_size=64))
def test_what_is_written_is_read_back_and_garbage_raises_what_is_expected(
    layers: int, text: str, tables: bytes
) -> None:
    shape = shape_of(llama(layers=layers))
    assert decode(encode(shape)) == shape
    assert decode(encode(Unjudged(text))) == Unjudged(text)
    with pytest.raises((ValueError, LookupError, TypeError, struct.error)):
        decode(Written(text, tables))
