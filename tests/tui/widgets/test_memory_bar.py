from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.types import Bill, Card
from modeldeck.engines.hardware.types import GpuProcess
from modeldeck.engines.units import GIB, MIB
from modeldeck.tui.widgets.memory_bar import bar, bill_lines
from tests.support.model_bench import CARD, bill

SIZE = st.integers(0, 400 * GIB)
BILL = st.tuples(*([SIZE] * 10)).map(lambda sizes: Bill(*sizes))


def test_who_else_holds_memory_is_named_the_three_largest_with_their_bytes() -> None:
    held = [("vLLM", 2100), ("ComfyUI", 800), ("Xorg", 300), ("Chrome", 200)]
    others = [GpuProcess(pid, name, mib << 20) for pid, (name, mib) in enumerate(held)]
    lines = [line.plain for line in bill_lines(bill(1, 1), CARD, others=others, width=46)]
    at = next(i for i, line in enumerate(lines) if "by others now" in line)
    assert lines[at + 1] == "  vLLM 2.05, ComfyUI 0.78, Xorg 0.29"
    narrow = [line.plain for line in bill_lines(bill(1, 1), CARD, others=others, width=20)]
    assert narrow[at + 1 : at + 3] == ["  vLLM 2.05, ComfyUI", "  0.78, Xorg 0.29"]


def test_nobody_is_named_on_a_card_that_is_not_here() -> None:
    there = CARD._replace(what_if=True)
    named = bill_lines(bill(1, 1), there, others=(GpuProcess(1, "vLLM", 1 << 30),))
    assert "vLLM" not in "".join(line.plain for line in named)
    unknown = bill_lines(bill(1, 1), CARD, others=(GpuProcess(1, "vLLM"),))
    assert "vLLM" not in "".join(line.plain for line in unknown)


def test_a_model_that_fits_as_a_bar_and_as_lines() -> None:
    plan = bill(7.97, 2.5, 0.41)
    assert bar(plan, CARD, 38).plain == "██████████████████████████▓▓▓▓▓▓▓▓▒░╌·"
    assert [line.plain.rstrip() for line in bill_lines(plan, CARD, "16k f16")] == [
        "█ weights        7.97  +0.41 RAM",
        "▓ kv cache       2.50  16k f16",
        "▒ compute        0.15",
        "░ cuda context   0.25  assumed",
        "╱ in use         0.09  by others now",
        "╌ margin         0.25",
        "· free           0.42  of 11.63 GiB",
    ]


def test_a_projector_has_a_line_of_its_own() -> None:
    plan = bill(7.97, 1.5, 0.41)._replace(projector_gpu_bytes=GIB)
    lines = [line.plain.rstrip() for line in bill_lines(plan, CARD, "16k f16")]
    assert "▚ projector      1.00  at most" in lines
    assert "▚▚▚" in bar(plan, CARD, 38).plain


def test_a_model_larger_than_the_card_shows_where_the_card_ends() -> None:
    plan = bill(17, 1.2)
    line = bar(plan, CARD, 40).plain
    assert line.index("┃") == 24
    assert list(bill_lines(plan, CARD))[-1].plain == "┃ short          7.31  of 11.63 GiB"


def test_a_card_that_is_assumed_has_nobody_else_on_it() -> None:
    card = Card("RTX 3060 12GB", 12 * GIB, 12 * GIB, what_if=True, ram_bytes=0)
    assert "by others" not in "".join(line.plain for line in bill_lines(bill(1, 1), card))


@given(BILL, st.integers(0, 48 * GIB), st.integers(0, 48 * GIB), st.integers(1, 120))
def test_a_bar_is_exactly_as_wide_as_asked(
    plan: Bill, usable_bytes: int, free_bytes: int, width: int
) -> None:
    card = Card("card", usable_bytes, free_bytes, what_if=False, ram_bytes=0)
    line = bar(plan, card, width)
    assert line.cell_length == width
    need = plan.total_gpu_bytes + plan.margin_bytes + max(0, usable_bytes - free_bytes)
    assert ("┃" in line.plain) == (need > usable_bytes)


@given(BILL)
def test_the_lines_add_up_to_the_card(plan: Bill) -> None:
    lines = [line.plain for line in bill_lines(plan, CARD)]
    numbers = [_gib(line) for line in lines]
    left = -numbers[-1] if "short" in lines[-1] else numbers[-1]
    assert abs(sum(numbers[:-1]) + left - CARD.usable_bytes / GIB) < 0.05


def _gib(line: str) -> float:
    return float(line[15:22])


def test_everything_that_takes_a_cell_is_drawn_and_the_rest_is_free() -> None:
    empty = Card("card", 10 * MIB, 10 * MIB, what_if=True, ram_bytes=0)
    plan = Bill(weights_gpu_bytes=5 * MIB, kv_gpu_bytes=MIB, margin_bytes=2 * MIB)
    assert bar(plan, empty, 10).plain == "█████▓╌╌··"
