from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modeldeck.tui.widgets.columns import GAP, Column, place
from modeldeck.tui.widgets.model_rows import COLUMNS


def shown(width: int) -> list[str]:
    return [COLUMNS[spot.column].key for spot in place(COLUMNS, width)]


def test_eighty_columns_of_a_terminal_show_everything() -> None:
    assert shown(78) == ["name", "quant", "size", "verdict", "context", "speed"]


def test_what_matters_least_goes_first() -> None:
    assert shown(75) == ["name", "quant", "size", "verdict", "speed"]
    assert shown(60) == ["name", "quant", "size", "verdict"]


def test_the_verdict_stays_as_long_as_anything_does() -> None:
    assert shown(50) == ["name", "quant", "size", "verdict"]
    assert place(COLUMNS, 50)[0].width == 11


def test_the_flexible_column_takes_what_is_left() -> None:
    spots = place(COLUMNS, 100)
    assert spots[0].width == 20 + 100 - 76
    assert spots[-1].x + spots[-1].width == 100


COLUMN = st.builds(
    Column,
    st.just("key"),
    st.just("TITLE"),
    st.integers(1, 30),
    flexible=st.booleans(),
    priority=st.integers(0, 4),
)


@given(st.lists(COLUMN, max_size=8), st.integers(0, 120))
def test_columns_never_overlap_and_never_stick_out(columns: list[Column], width: int) -> None:
    end = -GAP
    for spot in place(columns, width):
        assert spot.x == end + GAP
        assert spot.width >= 1
        end = spot.x + spot.width
        assert end <= width


@given(st.lists(COLUMN, min_size=1, max_size=8), st.integers(0, 120))
def test_a_column_is_left_out_only_for_room(columns: list[Column], width: int) -> None:
    kept = {spot.column for spot in place(columns, width)}
    left_out = [columns[index] for index in range(len(columns)) if index not in kept]
    droppable = [column.priority for column in left_out if column.priority]
    if droppable:
        least = min(droppable)
        assert all(columns[index].priority <= least for index in kept)
