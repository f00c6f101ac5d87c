"""llama.cpp sizes a plan itself; the verdict takes its word where it counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.errors import EngineError
from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.dry_run import DeviceSizes, agrees, checked, sizes_of
from modeldeck.engines.fit.dry_runner import DryRunner
from modeldeck.engines.fit.types import Bill, Verdict, VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.types import KvType, Plan, Source
from tests.support.random_model import SLOW, make_random_model

MIB = 1 << 20
GIB = 1 << 30
CARD = card_named("RTX 3060 12GB", 32 * GIB)


def test_what_it_prints_is_read() -> None:
    lines = ["some log", "CUDA0 10953 402 104 ", "Host 587 0 17 ", "too many 1 2 3 4"]
    assert sizes_of(lines) == (
        DeviceSizes("CUDA0", 10953 * MIB, 402 * MIB, 104 * MIB),
        DeviceSizes("Host", 587 * MIB, 0, 17 * MIB),
    )
    assert sizes_of(["CUDA0 1 2 3"]) == ()


@given(st.lists(st.text(max_size=60), max_size=6))
def test_no_output_breaks_the_reading(lines: list[str]) -> None:
    sizes_of(lines)


GUESS = Verdict(
    VerdictKind.FITS,
    "closed-form",
    "fits",
    Bill(
        weights_gpu_bytes=10953 * MIB,
        weights_host_bytes=587 * MIB,
        kv_gpu_bytes=402 * MIB,
        compute_gpu_bytes=90 * MIB,
        context_overhead_bytes=250 * MIB,
        margin_bytes=0,
    ),
    layers_gpu=24,
    layers=24,
    gpu_layers=25,
)
ON_A_CARD = sizes_of(["CUDA0 10953 402 104", "Host 587 0 17"])


def test_a_build_for_the_card_gives_the_whole_bill() -> None:
    verdict = checked(GUESS, Plan(), ON_A_CARD, CARD)
    assert verdict.source == "engine"
    assert verdict.kind is VerdictKind.FITS
    assert verdict.bill is not None
    assert verdict.bill.compute_gpu_bytes == 105 * MIB
    assert verdict.bill.context_overhead_bytes == 250 * MIB


def test_what_the_engine_says_may_undo_a_promise() -> None:
    verdict = checked(GUESS, Plan(), sizes_of(["CUDA0 10953 402 900", "Host 587 0 17"]), CARD)
    assert verdict.kind is VerdictKind.DOES_NOT_FIT
    assert "the engine takes" in verdict.reason


def test_what_the_formula_refused_may_fit_after_all() -> None:
    refused = GUESS._replace(kind=VerdictKind.DOES_NOT_FIT, reason="does not fit")
    verdict = checked(refused, Plan(), ON_A_CARD, CARD)
    assert verdict.kind is VerdictKind.FITS
    assert "fits after all" in verdict.reason


def test_memory_that_is_short_is_named_as_such() -> None:
    verdict = checked(GUESS, Plan(), sizes_of(["CUDA0 10953 402 104", "Host 40000 0 17"]), CARD)
    assert verdict.kind is VerdictKind.DOES_NOT_FIT
    assert "of memory" in verdict.reason


def test_a_build_for_the_cpu_proves_weights_and_caches_only() -> None:
    sizes = sizes_of(["Host 11540 402 300"])
    assert checked(GUESS, Plan(), sizes, CARD) == GUESS
    assert GUESS.bill is not None
    assert agrees(GUESS.bill, sizes)
    assert not agrees(GUESS.bill, sizes_of(["Host 11540 900 300"]))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_random_model(tmp_path_factory.mktemp("dry") / "slow.gguf", SLOW)


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_the_real_engine_and_the_formula_agree(model: Path, kv_type: KvType) -> None:
    plan = Plan(context_tokens=32768, gpu_layers=0, kv_type=kv_type)
    header = scan([Place(Source.FOLDER, model)]).models[0].header
    assert header is not None
    guess = judge(header, plan, CARD)
    runner = DryRunner()
    try:
        sizes = runner.run(model, plan)
        again = runner.run(model, plan)
    finally:
        runner.close()
    assert sizes == again
    verdict = checked(guess, plan, sizes, CARD)
    assert (verdict.kind, verdict.source) == (VerdictKind.CPU_ONLY, "engine")
    assert guess.bill is not None
    assert verdict.bill is not None
    assert agrees(guess.bill, sizes)
    assert abs(verdict.bill.kv_host_bytes - guess.bill.kv_host_bytes) <= 2 * MIB
    assert abs(verdict.bill.weights_host_bytes - guess.bill.weights_host_bytes) <= 2 * MIB


def test_what_kills_the_engine_is_told_and_the_next_question_answered(
    model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(model.read_bytes()[:4000])
    runner = DryRunner()
    try:
        with pytest.raises(EngineError, match="cannot size it"):
            runner.run(broken, Plan(gpu_layers=0))
        assert runner.run(model, Plan(gpu_layers=0))
    finally:
        runner.close()


def test_a_killed_child_is_started_again(model: Path) -> None:
    runner = DryRunner()
    try:
        runner.run(model, Plan(gpu_layers=0))
        child = runner._child  # pyright: ignore[reportPrivateUsage]
        assert child is not None
        child.kill()
        child.wait()
        assert runner.run(model, Plan(gpu_layers=0))
    finally:
        runner.close()
    assert runner._child is None  # pyright: ignore[reportPrivateUsage]
