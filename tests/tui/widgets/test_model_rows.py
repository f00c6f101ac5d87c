from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from modeldeck.engines.fit.types import Verdict, VerdictKind
from modeldeck.tui.widgets.model_rows import (
    COLUMNS,
    SORTS,
    Entry,
    MadeRows,
    model_row,
    short_name,
    size_text,
    sorted_entries,
    speed_text,
    verdict_cell,
)
from tests.support.model_bench import known_entries, model


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0.0M"),
        (557_000, "0.6M"),
        (9_949_999, "9.9M"),
        (9_950_000, "10M"),
        (400_000_000, "400M"),
        (999_499_999, "999M"),
        (999_500_000, "1.0G"),
        (8_400_000_000, "8.4G"),
        (99_949_999_999, "99.9G"),
        (246_000_000_000, "246G"),
    ],
)
def test_sizes_are_decimal_as_the_stores_count(size_bytes: int, shown: str) -> None:
    assert size_text(size_bytes) == shown


@given(st.integers(0, 10**13 - 1))
def test_a_size_fits_its_column(size_bytes: int) -> None:
    assert len(size_text(size_bytes)) <= COLUMNS[2].width


@pytest.mark.parametrize(
    ("name", "quantisation", "shown"),
    [
        ("Qwen3-14B-Q4_K_M", "Q4_K_M", "Qwen3-14B"),
        ("qwen3-14b.q4_k_m", "Q4_K_M", "qwen3-14b"),
        ("Qwen3-80B-UD-Q2_K_XL", "Q2_K", "Qwen3-80B-UD-Q2_K_XL"),
        ("model", "F16", "model"),
        ("-Q4_0", "Q4_0", "-Q4_0"),
        ("XQ4_0", "Q4_0", "XQ4_0"),
        ("anything", "", "anything"),
    ],
)
def test_a_name_does_not_repeat_the_quantisation(name: str, quantisation: str, shown: str) -> None:
    assert short_name(model(name, quantisation, 1)) == shown


def test_each_verdict_has_a_glyph_and_words_of_its_own() -> None:
    cells = [verdict_cell(entry) for entry in known_entries()]
    assert [cell.text for cell in cells] == [
        "● fits",
        "● fits",
        "◑ experts on CPU",
        "◐ 39 of 62 layers",
        "○ CPU only",
        "✕ does not fit",
        "✕ cannot run here",
        "? not judged yet",
        "… judging",
        "✕ cannot be read",
    ]


@pytest.mark.parametrize("kind", VerdictKind)
def test_every_verdict_fits_its_column(kind: VerdictKind) -> None:
    verdict = Verdict(kind, "closed-form", "because", layers_gpu=101, layers=126)
    cell = verdict_cell(Entry(model("m", "F16", 1), verdict))
    assert cell_len(cell.text) <= COLUMNS[3].width
    assert cell.style.startswith("$verdict-")


def test_a_prediction_is_marked_and_a_measurement_is_bare() -> None:
    verdict = known_entries()[0].verdict
    assert speed_text(verdict) == "~53"
    assert speed_text(verdict, 52.84) == "52.8"
    assert speed_text(verdict, 431.2) == "431"
    assert speed_text(None) == ""
    assert speed_text(known_entries()[4].verdict or Verdict(VerdictKind.FITS, "engine", ""))


def test_a_row_in_words() -> None:
    def shown(index: int) -> list[str]:
        return [cell.text for cell in model_row(known_entries()[index]).cells]

    assert shown(1) == ["▶ Qwen3-14B", "Q4_K_M", "8.4G", "● fits", "19k", "~34"]
    assert shown(3) == ["gemma-3-27b-it", "Q4_K_M", "15.4G", "◐ 39 of 62 layers", "8k", "~6"]
    assert shown(9) == ["[red]broken[/red] [/]", "–", "400M", "✕ cannot be read", "–", "–"]


def sorted_names(by: str) -> list[str]:
    entries = list(known_entries())
    random.Random(3).shuffle(entries)
    return [short_name(entry.model).split("-")[0] for entry in sorted_entries(entries, by)]


def test_names_are_sorted_as_people_count() -> None:
    names = ["b-70b", "B-8b", "a-14b", "a-8b"]
    entries = [Entry(model(name, "", 1)) for name in names]
    assert [e.model.name for e in sorted_entries(entries, "name")] == [
        "a-8b", "a-14b", "B-8b", "b-70b",
    ]  # fmt: skip


def test_the_best_verdict_comes_first_and_what_is_broken_last() -> None:
    assert sorted_names("verdict") == [
        "Qwen3", "Qwen3", "gpt", "gemma", "Llama", "DeepSeek", "phi", "Qwen3", "通义千问",
        "[red]broken[/red] [/]",
    ]  # fmt: skip


def test_the_fastest_and_the_roomiest_come_first() -> None:
    speeds = [
        speed_text(e.verdict, e.measured_tps) for e in sorted_entries(known_entries(), "speed")
    ]
    assert speeds[:5] == ["~64", "52.8", "~34", "~6", "~0.6"]
    contexts = [
        e.verdict.max_context_tokens for e in sorted_entries(known_entries(), "context")[:5]
        if e.verdict
    ]  # fmt: skip
    assert contexts == [40960, 19456, 16384, 8192, 4096]


@given(st.permutations(known_entries()), st.sampled_from(SORTS))
def test_an_order_does_not_depend_on_the_one_before(entries: list[Entry], by: str) -> None:
    ids = [entry.model.id for entry in sorted_entries(entries, by)]
    assert ids == [entry.model.id for entry in sorted_entries(known_entries(), by)]


def test_every_column_can_be_sorted_by() -> None:
    assert list(SORTS) == [column.key for column in COLUMNS]


def test_only_what_changed_is_made_again() -> None:
    made = MadeRows()
    entries = known_entries()
    before = made.of(entries)

    loaded = replace(entries[0], loaded=not entries[0].loaded)
    judged = replace(entries[2], verdict=entries[3].verdict)
    after = made.of((entries[3], loaded, entries[1], judged))

    assert after == tuple(map(model_row, (entries[3], loaded, entries[1], judged)))
    assert after[0] is before[3]
    assert after[2] is before[1]
    assert made.of(entries)[1] is before[1]
    assert made.of(entries)[5] is not before[5]  # left out once, so forgotten
