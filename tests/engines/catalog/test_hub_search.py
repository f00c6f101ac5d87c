"""What the Hub says it found, sound or not; the variants in a listing; Ollama's names."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.catalog.hub_search import read_found
from modeldeck.engines.catalog.ollama_library import library, library_search
from modeldeck.engines.catalog.remote_memory import RemoteMemory
from modeldeck.engines.catalog.remote_variants import remote_variants
from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.web import web_of
from tests.support.file_server import serving
from tests.support.hub import repository

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "tags", "gguf", "total", "downloads", "lastModified", "gated"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_is_listed_is_read_or_refused(value: object) -> None:
    try:
        found = read_found(json.dumps(value).encode())
    except FormatError:
        assert not isinstance(value, list)
        return
    for one in found:
        assert one.name.isprintable()
        assert one.name.count("/") == 1
        assert one.parameters is None or one.parameters > 0


@pytest.mark.parametrize("data", [b"", b"[", b"{}", b'"x"', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_found(data)


def test_an_entry_that_makes_no_sense_is_left_out() -> None:
    entries = [
        {"id": "a/b", "downloads": -1, "likes": True, "lastModified": "soon", "gguf": {"total": 7}},
        {"id": "../../x"},
        {"id": "a/b\u001b[31m"},
        {"id": 7},
        "text",
    ]
    (one,) = read_found(json.dumps(entries).encode())
    assert (one.name, one.downloads, one.likes, one.updated, one.parameters) == (
        *("a/b", None, None, None),
        7,
    )


@pytest.mark.parametrize(
    ("files", "variants"),
    [
        (
            {"M-Q8_0.gguf": 20, "M-Q4_K_M.gguf": 10, "mmproj-F16.gguf": 5},
            [("Q4_K_M", 10), ("Q8_0", 20)],
        ),
        (
            {"Q8_0/M-Q8_0-00001-of-00002.gguf": 20, "Q8_0/M-Q8_0-00002-of-00002.gguf": 22},
            [("Q8_0", 42)],
        ),
        ({"a-Q8_0.gguf": 1, "b-Q8_0.gguf": 2}, [("a-Q8_0", 1), ("b-Q8_0", 2)]),
        ({"plain.gguf": 3}, [("plain", 3)]),
        ({"config.json": 2, "model.safetensors": 30}, [("n", 30)]),
        ({"README.md": 2}, []),
    ],
)
def test_a_listing_has_variants(files: Mapping[str, int], variants: list[tuple[str, int]]) -> None:
    contents = {name: bytes(size) for name, size in files.items()}
    with serving(repository("o/n", contents)) as server, web_of(None, None) as web:
        found = remote_variants(RemoteMemory(web, None), server.url, "o/n")
    assert [(one.label, one.size_bytes) for one in found] == variants
    for one in found:
        assert parse_target(one.target).name == "o/n"


def test_branches_are_variants_where_main_is_empty() -> None:
    there = repository("o/n", {"README.md": b"x"}, branches=("main", "4.0bpw", "6.0bpw"))
    with serving(there) as server, web_of(None, None) as web:
        found = remote_variants(RemoteMemory(web, None), server.url, "o/n")
    assert [one.target for one in found] == ["hf:o/n@4.0bpw", "hf:o/n@6.0bpw"]


def test_every_name_of_the_library_can_be_asked_for() -> None:
    assert len(library().models) > 30
    for model in library().models:
        for tag in model.tags:
            assert parse_target(f"ollama:{model.name}:{tag}").name == f"{model.name}:{tag}"


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("", ("gpt-oss", ("20b", "120b"))),
        ("QWEN3", ("qwen3", ("0.6b", "1.7b", "4b", "8b", "14b", "30b", "32b", "235b"))),
        ("qwen3:8b-q8_0", ("qwen3", ("8b-q8_0",))),
        ("my/own:tag", ("my/own", ("tag",))),
        ("never-heard-of", ("never-heard-of", ("latest",))),
    ],
)
def test_names_of_ollama(typed: str, first: tuple[str, tuple[str, ...]]) -> None:
    assert tuple(library_search(typed)[0]) == first


def test_no_name_is_found_by_nonsense() -> None:
    assert library_search("no such\nname") == ()
