"""A model that was read once is not read again until it changes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.store import headers
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.headers import (
    SCHEMA,
    CachedHeader,
    HeaderCache,
    KeptBlocks,
    Stamp,
    decode,
    encode,
)
from modeldeck.engines.types import BlockWeights, HParam, ModelHeader, WeightTable

PATH = Path("/models/模型 [red].gguf")
STAMP = Stamp.of([(1000, 42, 7)])
BLOCK = BlockWeights(0, 100, 200, 3)
HEADER = ModelHeader(
    architecture="llama",
    name="Tiny",
    parameters=10,
    quantisation="Q8_0",
    context_length=2048,
    vocabulary_size=320,
    has_chat_template=True,
    hparams={"a": 1, "b": 1.0, "c": True, "d": (1, 2), "e": "x"},
    weights=WeightTable(blocks=(BLOCK,), output_tied=True),
    tensor_count=3,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "data" / "store.db", [SCHEMA])
    yield database
    database.close()


sizes = st.integers(0, 1 << 63)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False)
hparams = st.dictionaries(
    words,
    st.one_of(
        st.integers(-(1 << 63), (1 << 64) - 1),
        numbers,
        st.booleans(),
        words,
        st.lists(st.integers(), max_size=9).map(tuple),
        st.lists(numbers, max_size=9).map(tuple),
        st.lists(st.booleans(), max_size=9).map(tuple),
    ),
)
model_headers = st.builds(
    ModelHeader,
    architecture=words,
    name=words,
    parameters=sizes,
    quantisation=words,
    context_length=sizes,
    vocabulary_size=sizes,
    has_chat_template=st.booleans(),
    hparams=hparams,
    weights=st.builds(
        WeightTable,
        blocks=st.lists(st.builds(BlockWeights, sizes, sizes, sizes, sizes), max_size=5).map(tuple),
        token_embedding_bytes=sizes,
        host_only_bytes=sizes,
        output_bytes=sizes,
        output_tied=st.booleans(),
        other_bytes=sizes,
    ),
    tensor_count=sizes,
)


def types_of(values: dict[str, HParam]) -> list[object]:
    return [
        (type(value), [type(item) for item in value] if isinstance(value, tuple) else None)
        for value in values.values()
    ]


@given(model_headers)
def test_a_header_comes_back_as_it_was(header: ModelHeader) -> None:
    back = decode(encode(header))

    assert back == header
    assert types_of(dict(back.hparams)) == types_of(dict(header.hparams))
    assert hash(back.weights) == hash(header.weights)


def test_numbers_that_are_none_come_back_too() -> None:
    odd = HEADER._replace(hparams={"nan": math.nan, "inf": (math.inf, -math.inf)})

    back = decode(encode(odd)).hparams

    assert math.isnan(float(str(back["nan"])))
    assert back["inf"] == (math.inf, -math.inf)


def test_what_was_saved_is_there_in_the_next_run(database: Database) -> None:
    first = HeaderCache(database)
    first.put(PATH, STAMP, CachedHeader(HEADER, None))
    first.put(Path("/bad.gguf"), STAMP, CachedHeader(None, "The file is empty."))
    first.save()

    cache = HeaderCache(database)

    assert cache.get(PATH, STAMP) == CachedHeader(HEADER, None)
    assert cache.get(Path("/bad.gguf"), STAMP) == CachedHeader(None, "The file is empty.")
    assert cache.get(Path("/other.gguf"), STAMP) is None


@pytest.mark.parametrize(
    "files",
    [
        [(1001, 42, 7)],
        [(1000, 43, 7)],
        [(1000, 42, 8)],
        [(1000, 42, 7), (1, 1, 1)],
        [],
    ],
    ids=["size", "time", "inode", "another part", "no parts"],
)
def test_a_changed_file_is_read_again(
    database: Database, files: list[tuple[int, int, int]]
) -> None:
    cache = HeaderCache(database)
    cache.put(PATH, STAMP, CachedHeader(HEADER, None))

    assert cache.get(PATH, STAMP) is not None
    assert cache.get(PATH, Stamp.of(files)) is None


def test_a_new_reader_reads_everything_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "READER_VERSION", headers.READER_VERSION + 1)

    assert Stamp.of([(1000, 42, 7)]) != STAMP


def test_a_newer_state_of_a_file_replaces_the_older(database: Database) -> None:
    cache = HeaderCache(database)
    newer = Stamp.of([(2000, 99, 7)])
    cache.put(PATH, STAMP, CachedHeader(HEADER, None))
    cache.save()
    cache.put(PATH, newer, CachedHeader(None, "Broken."))
    cache.save()

    again = HeaderCache(database)

    assert again.get(PATH, STAMP) is None
    assert again.get(PATH, newer) == CachedHeader(None, "Broken.")


def test_a_name_that_is_no_unicode_is_remembered_for_this_run(database: Database) -> None:
    path = Path("/models/\udcff.gguf")
    cache = HeaderCache(database)
    cache.put(path, STAMP, CachedHeader(HEADER, None))
    cache.save()

    assert cache.get(path, STAMP) is not None
    assert HeaderCache(database).get(path, STAMP) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", '{"hparams": 1}'])
def test_a_row_that_makes_no_sense_is_read_again(database: Database, text: str) -> None:
    cache = HeaderCache(database)
    cache.put(PATH, STAMP, CachedHeader(HEADER, None))
    cache.save()
    with database.transaction() as connection:
        connection.execute("UPDATE headers SET header = ?, problem = NULL", (text,))

    assert HeaderCache(database).get(PATH, STAMP) is None


def test_files_unseen_for_half_a_year_are_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = HeaderCache(database)
    cache.put(PATH, STAMP, CachedHeader(HEADER, None))
    cache.put(Path("/gone.gguf"), STAMP, CachedHeader(HEADER, None))
    cache.save()
    start = time.time()

    for weeks in (10, 20, 30):
        monkeypatch.setattr(time, "time", lambda weeks=weeks: start + weeks * 7 * 86_400)
        scan = HeaderCache(database)
        assert scan.get(PATH, STAMP) is not None
        scan.save()

    assert [row["path"] for row in database.rows("SELECT path FROM headers")] == [str(PATH)]


def test_nothing_is_written_when_nothing_is_new(database: Database) -> None:
    cache = HeaderCache(database)
    cache.put(PATH, STAMP, CachedHeader(HEADER, None))
    cache.save()
    changes = "SELECT total_changes()"
    before = database.rows(changes)[0][0]

    again = HeaderCache(database)
    again.get(PATH, STAMP)
    again.save()
    cache.save()

    assert database.rows(changes)[0][0] == before


def test_ten_thousand_models_are_loaded_quickly(database: Database) -> None:
    weights = WeightTable(blocks=tuple(BlockWeights(n, 1 << 27, 0, 0) for n in range(48)))
    header = HEADER._replace(weights=weights, hparams={f"llama.key{n}": n for n in range(40)})
    paths = [Path(f"/models/{number}.gguf") for number in range(10_000)]
    cache = HeaderCache(database)
    for path in paths:
        cache.put(path, STAMP, CachedHeader(header, None))
    cache.save()

    began = time.perf_counter()
    again = HeaderCache(database)
    opened = time.perf_counter() - began
    found = [again.get(path, STAMP) for path in paths]
    read = time.perf_counter() - began

    assert None not in found
    assert opened < 2
    assert read < 10


def test_kept_blocks_are_the_blocks_that_were_read() -> None:
    blocks = KeptBlocks([0, 1, 5], [0, 1, 0], [[10, 0, 1, 0], [20, 9, 2, 3]])
    made = (BlockWeights(0, 10, 0, 1), BlockWeights(1, 20, 9, 2, 3), BlockWeights(5, 10, 0, 1))
    assert blocks == made
    assert made == blocks
    assert hash(blocks) == hash(made)
    assert blocks[-1] == made[-1]
    assert blocks[1:] == made[1:]
    assert blocks != made[:2]


@pytest.mark.parametrize(
    ("numbers", "places", "kinds"),
    [
        ([0], [0, 0], [[1, 0, 0, 0]]),
        ([0], [1], [[1, 0, 0, 0]]),
        ([0], [-1], [[1, 0, 0, 0]]),
        ([0], [0], [[1, 0, 0]]),
        ([], [], [[1]]),
    ],
)
def test_spoilt_blocks_are_noticed_when_they_are_read(
    numbers: list[int], places: list[int], kinds: list[list[int]]
) -> None:
    with pytest.raises(ValueError, match="block"):
        KeptBlocks(numbers, places, kinds)


def _not_to_be_asked(sql: str, values: Sequence[object]) -> list[object]:
    pytest.fail(f"it was asked: {sql} {values}")


def test_what_was_recalled_is_asked_of_the_database_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, found = HeaderCache(database), CachedHeader(None, "The file is empty.")
    first.put(PATH, STAMP, found)
    first.save()
    cache, absent = HeaderCache(database), Path("/not/kept")
    cache.recall([PATH, absent, Path("/no\udcfftext")])
    with monkeypatch.context() as patched:
        patched.setattr(database, "rows", _not_to_be_asked)
        assert cache.get(PATH, STAMP) == found
        assert cache.get(absent, STAMP) is None
    newer = Stamp("newer")
    cache.put(PATH, newer, found)
    assert cache.get(PATH, newer) == found
    cache.save()
    assert cache.get(PATH, newer) == found
