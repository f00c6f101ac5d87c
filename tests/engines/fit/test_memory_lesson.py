"""What loads teach about memory: how much is added, when less is believed, and how sure it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.buffers import Buffer
from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.memory_lesson import (
    LoadSizes,
    corrected_bill,
    correction_of,
    measured_bill,
    measured_sizes,
    settled,
)
from modeldeck.engines.fit.types import WHOLE_ON_GPU, Bill, Correction, Corrections, VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.types import Plan
from modeldeck.engines.units import GIB, MIB
from tests.accuracy.models import header

CARD = card_named("RTX 3090 24GB", 64 * GIB)
HEADER = header("Llama-3-8B", "Q4_K_M")
residuals = st.lists(st.integers(-GIB, GIB), min_size=1, max_size=12)


def load(compute_mib: int, overhead_mib: int | None = None, host_mib: int = 0) -> LoadSizes:
    """A load that took so much more than was predicted for it."""
    measured = {
        "weights_gpu_bytes": 4 * GIB,
        "compute_gpu_bytes": (300 + compute_mib) * MIB,
        "compute_host_bytes": (20 + host_mib) * MIB,
    }
    if overhead_mib is not None:
        measured["context_overhead_bytes"] = (250 + overhead_mib) * MIB
    predicted = {
        "compute_gpu_bytes": 300 * MIB,
        "compute_host_bytes": 20 * MIB,
        "context_overhead_bytes": 250 * MIB,
    }
    return LoadSizes(measured, predicted)


@pytest.mark.parametrize(
    ("beyond", "added"),
    [
        ([], 0),
        ([40], 0),  # one load is no lesson
        ([40, 60], 50),
        ([40, 60, 900], 60),  # an odd one out does not carry the others away
        ([-40, -60], 0),  # two do not lower the bill
        ([-40, -60, -50], -40),  # three that agree do, by the least of them
        ([-40, -60, -50, 1], 0),
        ([-40, -60, 80, 90], 20),
        ([0, 0, 0], 0),
    ],
)
def test_more_is_believed_soon_and_less_only_when_several_agree(
    beyond: list[int], added: int
) -> None:
    assert settled(beyond) == added


@given(residuals)
def test_what_is_added_lies_between_nothing_and_what_was_seen(beyond: list[int]) -> None:
    added = settled(beyond)
    assert min(0, *beyond) <= added <= max(0, *beyond)
    assert added >= 0 or (len(beyond) >= 3 and all(one <= added for one in beyond))


@given(residuals, st.integers(0, GIB))
def test_a_load_that_took_more_never_lowers_what_is_added(beyond: list[int], more: int) -> None:
    assert settled([*beyond[1:], beyond[0] + more]) >= settled(beyond)


@given(residuals)
def test_the_order_of_loads_is_no_matter(beyond: list[int]) -> None:
    assert settled(beyond[::-1]) == settled(beyond)


@given(st.lists(st.integers(-500, 500), min_size=2, max_size=12))
def test_three_of_four_loads_lie_within_the_spread(beyond_mib: list[int]) -> None:
    found = correction_of([load(one) for one in beyond_mib])
    assert found is not None
    away = [abs(one * MIB - found.compute_bytes) for one in beyond_mib]
    within = sum(one <= found.spread_bytes for one in away)
    assert 4 * within >= 3 * len(away)
    assert found.spread_bytes <= max(away)
    assert found.loads == len(beyond_mib)


def test_the_buffers_and_the_context_are_settled_apart() -> None:
    found = correction_of([load(10, 100, 2), load(30, 120, 4), load(20, None, 3)])
    assert found is not None
    assert found.compute_bytes == 20 * MIB
    assert found.overhead_bytes == 110 * MIB
    assert found.compute_host_bytes == 3 * MIB
    assert found.spread_bytes == 20 * MIB
    bill = Bill(compute_gpu_bytes=300 * MIB, context_overhead_bytes=250 * MIB, kv_gpu_bytes=GIB)
    after = corrected_bill(bill, found)
    assert after.total_gpu_bytes == bill.total_gpu_bytes + 130 * MIB
    assert after.learnt == "±20 MiB from 3 loads here"
    assert after.kv_gpu_bytes == GIB


def test_a_measure_that_no_formula_could_be_off_by_is_left_out() -> None:
    assert correction_of([load(10), load(5000)]) is None
    found = correction_of([load(10), load(10), load(5000)])
    assert found is not None
    assert found.loads == 2


def test_a_term_never_falls_below_nothing() -> None:
    found = correction_of([load(-290), load(-290), load(-290)])
    assert corrected_bill(Bill(compute_gpu_bytes=MIB), found).compute_gpu_bytes == 0
    assert corrected_bill(Bill(compute_gpu_bytes=MIB), None).compute_gpu_bytes == MIB


ON_CUDA = (
    Buffer("CPU_Mapped", "weights", 300 * MIB),
    Buffer("CUDA0", "weights", 4000 * MIB),
    Buffer("CUDA0", "kv", 500 * MIB),
    Buffer("CUDA_Host", "output", MIB),
    Buffer("CUDA0", "compute", 299 * MIB),
    Buffer("CUDA_Host", "compute", 20 * MIB),
)


def test_what_no_buffer_holds_is_the_contexts() -> None:
    sizes = measured_sizes(ON_CUDA, 5000 * MIB)
    assert sizes["context_overhead_bytes"] == (5000 - 4000 - 500 - 299) * MIB
    assert sizes["compute_host_bytes"] == 21 * MIB
    bill = measured_bill(Bill(margin_bytes=1, loads=3), {**sizes, "of_a_later_version": 5})
    assert (bill.margin_bytes, bill.loads, bill.learnt) == (1, 1, "")
    assert bill.total_gpu_bytes == 5000 * MIB
    assert bill.total_host_bytes == 321 * MIB


def test_what_the_driver_does_not_tell_stays_unmeasured() -> None:
    assert "context_overhead_bytes" not in measured_sizes(ON_CUDA, None)
    # Less than its own buffers: of another moment, or another process.
    assert "context_overhead_bytes" not in measured_sizes(ON_CUDA, 100 * MIB)
    assert "projector_gpu_bytes" not in measured_sizes(ON_CUDA, None)


corrections = st.builds(
    Correction,
    st.integers(-500 * MIB, GIB),
    st.integers(-200 * MIB, GIB),
    st.integers(-50 * MIB, GIB),
    st.integers(0, GIB),
    st.integers(2, 20),
)


@given(corrections, corrections, corrections, st.integers(1, 24))
def test_verdicts_hold_on_a_card_that_taught_something(
    gpu: Correction, mixed: Correction, cpu: Correction, free_gib: int
) -> None:
    card = CARD._replace(free_bytes=free_gib * GIB, learnt=Corrections(gpu, mixed, cpu))
    found = judge(HEADER, Plan(context_tokens=8192), card)
    assert found.bill is not None
    fits = found.bill.total_gpu_bytes + found.bill.margin_bytes <= card.free_bytes
    on_gpu = found.kind in WHOLE_ON_GPU or found.kind is VerdictKind.FITS_PARTIAL
    assert on_gpu == (fits and found.kind is not VerdictKind.CPU_ONLY)
    if found.kind is VerdictKind.FITS and found.max_context_tokens != HEADER.context_length:
        assert found.max_context_tokens is not None
        longer = Plan(context_tokens=found.max_context_tokens + 256, gpu_layers=found.gpu_layers)
        assert judge(HEADER, longer, card).kind is VerdictKind.DOES_NOT_FIT
    assert found.bill.loads in (gpu.loads, mixed.loads, cpu.loads)


def test_half_a_log_teaches_nothing() -> None:
    assert measured_sizes([], 5000 * MIB) == {}
    assert measured_sizes(ON_CUDA[:3], 5000 * MIB) == {}
