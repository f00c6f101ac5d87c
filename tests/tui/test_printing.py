"""What is printed can be read, lined up, and does nothing to a terminal."""

from __future__ import annotations

import json
import os

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from modeldeck.engines.text import UNSAFE, clean_line
from modeldeck.tui.printing import json_text, table

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(clean_line)


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_json_says_the_same_and_holds_nothing_a_terminal_obeys(value: dict[str, object]) -> None:
    text = json_text(value)

    assert json.loads(text) == value
    assert not UNSAFE.search(text)


def test_a_file_name_that_is_no_utf_8_can_be_had_back_from_json() -> None:
    name = b"caf\xe9.gguf"

    text = json_text({"path": os.fsdecode(name)})

    text.encode("utf-8")
    assert os.fsencode(json.loads(text)["path"]) == name


def test_wide_characters_are_lined_up() -> None:
    lines = table([("NAME", "SIZE"), ("名前", "1"), ("e\u0301a", "22")], right=(1,)).splitlines()

    assert lines == ["NAME  SIZE", "名前     1", "e\u0301a      22"]


def test_a_narrow_terminal_loses_nothing() -> None:
    name = "Qwen3-30B-A3B-Instruct-2507-UD-Q4_K_XL-of-somebody"
    why = "fits with the experts of 28 of 48 blocks on the CPU with 16k context"
    rows = [("NAME", "SIZE", "VERDICT"), (name, "17 GB", why), ("tiny", "1 MB", "fits")]

    lines = table(rows, right=(1,), columns=80).splitlines()

    assert max(map(cell_len, lines)) <= 80
    assert "tiny" in lines[-1]
    assert "fits" in lines[-1]
    begin = lines[0].index("VERDICT")
    assert " ".join(line[begin:].strip() for line in lines[1:-1]).split() == why.split()
    assert "".join(line[: lines[0].index("SIZE") - 2].strip() for line in lines[1:-1]) == name


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5), st.integers(60, 120))
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, str, str]], columns: int) -> None:
    short = [("NAME", "QUANT", "VERDICT"), *((a, b[:4], c) for a, b, c in rows)]

    lines = table(short, columns=columns).splitlines()

    assert all(cell_len(line) <= columns for line in lines)
