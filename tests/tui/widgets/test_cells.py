from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from modeldeck.tui.widgets.cells import Align, fit, steady

TEXT = st.text() | st.lists(
    st.sampled_from(
        [*"ab 字量한\u3000", "e\u0301", "👩\u200d👩\u200d👧", "❤\ufe0f", "👍\U0001f3fd"]
    )
).map("".join)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("Qwen3", 8, "Qwen3   "),
        ("Qwen3", 5, "Qwen3"),
        ("Qwen3-14B", 6, "Qwen3…"),
        ("通义千问", 8, "通义千问"),
        ("通义千问", 7, "通义千…"),
        ("通义千问", 6, "通义… "),
        ("e\u0301te\u0301", 3, "e\u0301te\u0301"),
        ("e\u0301te\u0301s", 3, "e\u0301t…"),
        ("量", 1, "…"),
        ("x", 0, ""),
    ],
)
def test_text_is_cut_between_what_people_see_as_characters(
    text: str, width: int, shown: str
) -> None:
    assert fit(text, width) == shown


def test_numbers_stand_on_the_right() -> None:
    assert fit("8.4G", 6, "right") == "  8.4G"
    assert fit("通义", 6, "right") == "  通义"


@given(TEXT, st.integers(0, 40), st.sampled_from(["left", "right"]))
@example("\ud800", 4, "left")
@example("\t", 4, "left")
def test_text_always_takes_up_exactly_its_cells(text: str, width: int, align: Align) -> None:
    shown = fit(text, width, align)
    assert cell_len(shown) == width
    assert shown.isprintable()


@given(TEXT)
def test_the_width_is_the_sum_over_the_characters(text: str) -> None:
    # True of no emoji sequence; terminals that know sequences and those that do not agree on it.
    shown = steady(text)
    if not any("\U0001f1e6" <= character <= "\U0001f1ff" for character in shown):
        assert cell_len(shown) == sum(map(cell_len, shown))


def test_what_joins_reorders_or_widens_is_left_out() -> None:
    assert steady("👩\u200d👧") == "👩👧"
    assert steady("❤\ufe0f👍\U0001f3fd") == "❤👍"
    assert steady("a\u202eb\x1b[31mc") == "ab[31mc"
    assert steady("a\u00a0b\u3000c\td") == "a b c d"
    assert steady("\ue0b0\U000f0000") == "\ufffd\ufffd"
