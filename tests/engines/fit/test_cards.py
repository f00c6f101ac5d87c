"""Cards: the one here, one by name, one by its memory."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.fit import cards
from modeldeck.engines.fit.cards import (
    REFERENCE_CARD,
    card_from_gpu,
    card_named,
    card_of,
    card_with_vram,
    known_cards,
    reference_card,
)
from modeldeck.engines.hardware.types import GpuSnapshot, HardwareSnapshot, HostSnapshot

MIB = 1 << 20
RAM = 32 << 30


def test_the_first_card_of_the_table_is_the_reference() -> None:
    assert reference_card(RAM) == card_named(REFERENCE_CARD, RAM)


def test_the_reference_card_has_what_linux_leaves_of_it() -> None:
    card = reference_card(RAM)
    assert card.name == "RTX 3060 12GB"
    assert card.what_if
    assert card.usable_bytes == card.free_bytes == 11906 * MIB
    assert card.bandwidth_bytes_per_second == 360e9
    assert card.ram_bytes == RAM


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("RTX 3060 12GB", "RTX 3060 12GB"),
        ("rtx3060", "RTX 3060 12GB"),
        ("3060 8 GiB", "RTX 3060 8GB"),
        ("NVIDIA GeForce RTX 3060 Ti", "RTX 3060 Ti 8GB"),
        ("4060ti 16g", "RTX 4060 Ti 16GB"),
        ("GTX 1080 Ti", "GTX 1080 Ti 11GB"),
        ("NVIDIA GeForce RTX 4060 Laptop GPU", "RTX 4060 Laptop 8GB"),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB"),
        ("Tesla T4", "T4 16GB"),
        ("nvidia rtx 6000 ada generation", "RTX 6000 Ada 48GB"),
        ("NVIDIA A10G", "A10G 24GB"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000 96GB"),
        ("AMD Radeon RX 7900 XTX", "RX 7900 XTX 24GB"),
        ("7900xt", "RX 7900 XT 20GB"),
        ("AMD Instinct MI300X", "MI300X 192GB"),
        ("Apple M2 Max 64GB", "M2 Max 64GB"),
        ("Intel(R) Arc(TM) B580 Graphics", "Arc B580 12GB"),
    ],
)
def test_a_card_is_found_by_any_of_its_names(name: str, title: str) -> None:
    assert card_named(name, RAM).name == title


@pytest.mark.parametrize("name", ["", "RTX 9999", "RTX 3060 24GB", "12GB", "\x1b[31m"])
def test_an_unknown_card_is_refused_with_a_way_on(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        card_named(name, RAM)
    assert "12GiB" in caught.value.next_step
    assert caught.value.cause.isprintable()


@given(st.text())
def test_no_name_does_more_than_be_refused(name: str) -> None:
    with suppress(SettingsError):
        assert card_named(name, RAM).what_if


def test_every_row_of_the_table_is_found_by_its_own_title() -> None:
    rows = known_cards()
    assert len({row.name for row in rows}) >= 150
    assert [card_named(row.title, RAM).name for row in rows] == [row.title for row in rows]


def test_every_row_of_the_table_makes_sense_and_has_a_source() -> None:
    folder = Path(cards.__file__).parent
    sources = tomllib.loads((folder / "card_sources.toml").read_text(encoding="utf-8"))
    for row in known_cards():
        assert row.source in sources, row.title
        unified = row.pcie_bytes_per_second is None
        least = 0.66 if unified else 0.9 if row.vram_bytes >= 8 << 30 else 0.8
        assert least * row.vram_bytes < row.usable_bytes < row.vram_bytes, row.title
        if row.decode_efficiency is not None:
            low, middle, high = row.decode_efficiency
            assert 0 < low < middle < high < 1
        assert 60e9 <= row.bandwidth_bytes_per_second <= 8e12
        # No card does fewer than 10 or more than 500 operations for each byte it can read.
        assert 10 < row.fp16_flops / row.bandwidth_bytes_per_second < 500, row.title


def test_generations_of_compute_capability_are_in_order() -> None:
    named = {row.title: row.compute for row in known_cards()}
    assert named["GTX 1080 Ti 11GB"] == "6.1"
    assert named["RTX 2080 Ti 11GB"] == "7.5"
    assert named["RTX 3060 12GB"] == "8.6"
    assert named["RTX 4090 24GB"] == "8.9"
    assert named["RTX 5090 32GB"] == "12.0"
    for row in known_cards():
        if row.vendor == "nvidia":
            assert re.fullmatch(r"\d{1,2}\.\d", row.compute), row.title


def test_a_card_too_fast_for_the_usual_share_has_a_measured_one_or_none() -> None:
    assert card_named("A100 80GB", RAM).decode_efficiency is None
    assert card_named("RTX 5090", RAM).decode_efficiency == (0.53, 0.62, 0.71)
    assert card_named("RTX 4090", RAM).decode_efficiency == (0.58, 0.70, 0.82)
    # Nothing was measured there: the band is wide.
    assert card_named("RX 7900 XTX", RAM).decode_efficiency == (0.40, 0.58, 0.76)


def test_metal_keeps_a_third_of_a_small_memory_and_a_quarter_of_a_large_one() -> None:
    assert card_named("M1 16GB", RAM).usable_bytes == 10922 * MIB + 2 * MIB // 3
    assert card_named("M2 Ultra 192GB", RAM).usable_bytes == 147456 * MIB


def test_the_reserve_of_other_cards_follows_the_two_that_were_measured() -> None:
    assert card_with_vram(12288 * MIB, RAM).usable_bytes == 11906 * MIB
    assert card_with_vram(24576 * MIB, RAM).usable_bytes == 24124 * MIB
    assert card_with_vram(10_000 * MIB, RAM).usable_bytes == 9700 * MIB


def test_a_card_known_by_its_memory_alone_has_no_bandwidth() -> None:
    card = card_with_vram(12 << 30, RAM)
    assert card.name == "12.0 GiB card"
    assert card.bandwidth_bytes_per_second is None


def gpu(name: str, total: int | None, free: int | None, reserved: int | None = None) -> GpuSnapshot:
    return GpuSnapshot(
        number=0,
        name=name,
        memory_total_bytes=total,
        memory_free_bytes=free,
        memory_reserved_bytes=reserved,
    )


def test_the_card_here_is_judged_by_what_is_free_now() -> None:
    card = card_from_gpu(gpu("NVIDIA GeForce RTX 3060", 12288 * MIB, 9000 * MIB, 382 * MIB), RAM)
    assert card is not None
    assert (card.name, card.what_if) == ("RTX 3060 12GB", False)
    assert card.usable_bytes == 11906 * MIB
    assert card.free_bytes == 9000 * MIB
    assert card.bandwidth_bytes_per_second == 360e9


def test_a_card_of_another_size_is_not_taken_for_its_namesake() -> None:
    card = card_from_gpu(gpu("NVIDIA GeForce RTX 3060", 8192 * MIB, 8000 * MIB), RAM)
    assert card is not None
    assert card.bandwidth_bytes_per_second == 240e9


def test_a_card_nobody_listed_keeps_its_name_and_has_no_rate() -> None:
    card = card_from_gpu(gpu("Frobnicator 9000", 12288 * MIB, 11000 * MIB), RAM)
    assert card is not None
    assert card.name == "Frobnicator 9000"
    assert card.bandwidth_bytes_per_second is None
    assert card.compute is None
    assert 11890 * MIB < card.usable_bytes < 11920 * MIB


def test_a_machine_is_judged_by_its_freest_gpu_and_without_one_by_the_reference() -> None:
    host = HostSnapshot("box", "a processor", 8, memory_available_bytes=RAM)
    full = gpu("NVIDIA GeForce RTX 3090", 24576 * MIB, 100 * MIB)
    free = gpu("NVIDIA GeForce RTX 3060", 12288 * MIB, 11000 * MIB)
    dumb = gpu("NVIDIA GB10", None, None)
    assert card_of(HardwareSnapshot((full, dumb, free), host)).name == "RTX 3060 12GB"
    assert card_of(HardwareSnapshot((dumb,), host)) == reference_card(RAM)


def test_a_gpu_whose_memory_nobody_tells_is_no_card() -> None:
    assert card_from_gpu(gpu("NVIDIA GB10", None, None), RAM) is None


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("RTX 3060 24GB", "Name RTX 3060 12GB or RTX 3060 8GB"),
        ("3O60", "RTX 3060 12GB"),
        ("m2 mx", "M2 Max 32GB"),
        ("7900xtc", "RX 7900 XTX 24GB"),
        ("toaster", "one like RTX 3060 12GB"),
        ("x" * 5000, "one like RTX 3060 12GB"),
    ],
)
def test_a_card_that_is_not_known_is_answered_with_those_like_it(typed: str, near: str) -> None:
    with pytest.raises(SettingsError) as caught:
        card_named(typed, 0)
    assert near in caught.value.next_step
    assert "or give its memory alone, like 12GiB." in caught.value.next_step
