"""Which cards engines see, as CUDA and ROCm read their variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.card_group import cards_of
from modeldeck.engines.hardware.types import GpuSnapshot, HardwareSnapshot, HostSnapshot, Mig
from modeldeck.engines.hardware.visible import CUDA, HIP, ROCR, visible

GIB = 1 << 30
HOST = HostSnapshot("box", "Ryzen", 12, None, 64 * GIB, 60 * GIB)


def nvidia(number: int, uuid: str, mig: Mig = Mig.OFF, free_gib: int = 8) -> GpuSnapshot:
    return GpuSnapshot(
        number,
        "NVIDIA GeForce RTX 3060",
        12 * GIB,
        (12 - free_gib) * GIB,
        free_gib * GIB,
        compute_capability=(8, 6),
        uuid=uuid,
        mig=mig,
    )


THREE = (nvidia(0, "GPU-1f53"), nvidia(1, "GPU-1f99"), nvidia(2, "GPU-2a77"))
CUT = (
    nvidia(0, "GPU-aa"),
    nvidia(1, "GPU-bb", Mig.PARENT),
    nvidia(2, "MIG-c1", Mig.INSTANCE),
    nvidia(3, "MIG-c2", Mig.INSTANCE),
    nvidia(4, "GPU-dd"),
)
RADEONS = tuple(GpuSnapshot(number, "Radeon", driver="amdgpu") for number in (3, 4))


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("0", (0,)),
        ("2, 0", (2, 0)),
        ("0,1,2", (0, 1, 2)),
        ("0,7,2", (0,)),
        ("0,0,2", (0,)),
        ("-1", ()),
        ("", ()),
        ("NoDevFiles", ()),
        ("1,-1,2", (1,)),
        ("GPU-2a77,0", (2, 0)),
        ("gpu-2", (2,)),
        ("GPU-1f", ()),
        ("GPU-1f5,GPU-1f9", (0, 1)),
        ("GPU-", ()),
        ("²", ()),
        ("99999999999999999999", ()),
    ],
)
def test_cards_named_by_number_or_by_the_start_of_a_name(
    said: str, numbers: tuple[int, ...]
) -> None:
    assert visible(THREE, {CUDA: said}) == numbers


@pytest.mark.parametrize(
    ("said", "numbers"),
    [("1", (1, 2, 3)), ("2", (4,)), ("MIG-c2", (3,)), ("GPU-bb,0", (1, 2, 3, 0))],
)
def test_a_card_that_is_cut_up_brings_its_instances(said: str, numbers: tuple[int, ...]) -> None:
    assert visible(CUT, {CUDA: said}) == numbers


@pytest.mark.parametrize(
    ("environ", "numbers"),
    [
        ({ROCR: "1"}, (0, 1, 2, 4)),
        ({ROCR: "1", HIP: "0"}, (0, 1, 2, 4)),
        ({ROCR: "1", HIP: "1"}, (0, 1, 2)),
        ({HIP: ""}, (0, 1, 2)),
        ({HIP: "1,0"}, (0, 1, 2, 4, 3)),
        ({ROCR: "GPU-beef"}, (0, 1, 2, 3, 4)),
        ({CUDA: "0"}, (0, 3)),
        ({CUDA: "", HIP: "1"}, (4,)),
    ],
)
def test_cards_of_amd_are_counted_by_themselves(
    environ: dict[str, str], numbers: tuple[int, ...]
) -> None:
    assert visible((*THREE, *RADEONS), environ) == numbers


def test_an_environment_that_says_nothing_hides_nothing() -> None:
    assert visible(THREE, {"PATH": "/bin"}) is None


@given(st.text(max_size=40), st.sampled_from([CUDA, ROCR, HIP]), st.sampled_from([THREE, CUT]))
def test_whatever_is_said_each_card_is_seen_once_at_most(
    said: str, name: str, gpus: tuple[GpuSnapshot, ...]
) -> None:
    found = visible(gpus, {name: said})
    assert found is not None
    assert len(set(found)) == len(found)
    assert set(found) <= {gpu.number for gpu in gpus}


def machine(said: str) -> HardwareSnapshot:
    gpus = (nvidia(0, "GPU-a", free_gib=10), nvidia(1, "GPU-b", free_gib=6))
    return HardwareSnapshot(gpus, HOST, "", visible(gpus, {CUDA: said}))


def test_a_verdict_is_for_the_card_that_engines_see() -> None:
    card = cards_of(machine("1"))
    assert (card.free_bytes, card.parts, card.number) == (6 * GIB, (), 1)
    assert [part.number for part in cards_of(machine("1,0")).parts] == [1, 0]


def test_with_every_card_hidden_a_verdict_is_a_what_if() -> None:
    hidden = machine("")
    assert cards_of(hidden).what_if
    assert hidden.why_none == "all GPUs are hidden from engines"
    assert machine("0").why_none == ""
    assert HardwareSnapshot((), HOST).why_none == "there is no GPU here"
