"""Paths as people type, paste and drop them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.tui.paths_typed import completed, typed_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/a/b.png", "/a/b.png"),
        (" /a/b.png \n", "/a/b.png"),
        ("'/a/b c.png'", "/a/b c.png"),
        ('"/a/b c.png"', "/a/b c.png"),
        ("/a/b\\ \\(1\\).png", "/a/b (1).png"),
        ("file:///a/b%20c.png", "/a/b c.png"),
        ("a.png", "a.png"),
    ],
)
def test_a_path_is_understood(text: str, path: str) -> None:
    assert typed_path(text) == Path(path)


def test_the_home_is_known(fresh_home: Path) -> None:
    assert typed_path("~/a.png") == fresh_home / "a.png"


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 2000, "~nobody-of-that-name/a"])
def test_what_can_be_no_path_is_none(text: str) -> None:
    assert typed_path(text) is None


@given(st.text())
def test_any_text_is_no_reason_to_crash(text: str) -> None:
    typed_path(text)
    completed(text)


def test_a_path_goes_on_as_the_disk_has_it(fresh_home: Path) -> None:
    (fresh_home / "pictures" / ".hidden").mkdir(parents=True)
    (fresh_home / "pictures" / "cat.PNG").write_bytes(b"")
    (fresh_home / "pictures" / "car.txt").write_bytes(b"")
    (fresh_home / "pictures" / "zoo").mkdir()
    (fresh_home / "pictures" / "bad\x1b[31m.png").write_bytes(b"")

    assert completed("~/pic") == "~/pictures/"
    assert completed("~/pictures/") == "~/pictures/cat.PNG"
    assert completed("~/pictures/ca") == "~/pictures/cat.PNG"
    assert completed("~/pictures/z") == "~/pictures/zoo/"
    assert completed("~/pictures/.h") == "~/pictures/.hidden/"
    assert completed("~/pictures/b") is None
    assert completed("~/pictures/nothing") is None
    assert completed(f"{fresh_home}/pictures/c") == f"{fresh_home}/pictures/cat.PNG"
