"""llama.cpp sizes a plan itself; the verdict takes its word where it counts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.reading import outlines_of
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.errors import EngineError
from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.dry_run import DeviceSizes, agrees, checked, sizes_of
from modeldeck.engines.fit.dry_runner import DryRunner
from modeldeck.engines.fit.profiles import LLAMA_CPP_PYTHON, LLAMA_SERVER, OLLAMA
from modeldeck.engines.fit.types import Bill, Verdict, VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.formats.gguf_outline import Outline, write_outlines
from modeldeck.engines.types import KvType, Plan, Source
from tests.support.gguf_files import write_llama, write_split_llama
from tests.support.large_headers import eight_billion
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
    agreed = checked(GUESS, Plan(), sizes, CARD)
    assert agreed == GUESS._replace(proof="llama.cpp agrees on weights and cache")
    otherwise = checked(GUESS, Plan(), sizes_of(["Host 11540 900 300"]), CARD)
    assert otherwise == GUESS._replace(proof="llama.cpp counts otherwise: weights and cache")
    assert GUESS.bill is not None
    assert agrees(GUESS.bill, sizes)
    assert not agrees(GUESS.bill, sizes_of(["Host 11540 900 300"]))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_random_model(tmp_path_factory.mktemp("dry") / "slow.gguf", SLOW)


@pytest.fixture(scope="module")
def runner() -> Iterator[DryRunner]:
    asked = DryRunner()
    yield asked
    asked.close()


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_the_real_engine_and_the_formula_agree(
    model: Path, runner: DryRunner, kv_type: KvType
) -> None:
    plan = Plan(context_tokens=32768, gpu_layers=0, kv_type=kv_type)
    header = scan([Place(Source.FOLDER, model)]).models[0].header
    assert header is not None
    guess = judge(header, plan, CARD)
    sizes = runner.run(outlines_of([model]), plan)
    assert sizes == runner.run(outlines_of([model]), plan)
    verdict = checked(guess, plan, sizes, CARD)
    assert (verdict.kind, verdict.source) == (VerdictKind.CPU_ONLY, "engine")
    assert guess.bill is not None
    assert verdict.bill is not None
    assert agrees(guess.bill, sizes)
    assert abs(verdict.bill.kv_host_bytes - guess.bill.kv_host_bytes) <= 2 * MIB
    assert abs(verdict.bill.weights_host_bytes - guess.bill.weights_host_bytes) <= 2 * MIB


def test_the_outline_is_sized_as_the_file_is(model: Path, runner: DryRunner) -> None:
    whole = Outline(model.read_bytes(), model.stat().st_size)
    outline = outlines_of([model])[0]
    assert len(outline.header) < 8192 < len(whole.header)
    for plan in (
        Plan(gpu_layers=0),
        Plan(context_tokens=16384, slots=4, gpu_layers=0, micro_batch_tokens=64),
        Plan(kv_type="q8_0", gpu_layers=0, swa_full=True),
        Plan(flash_attention=False, gpu_layers=0),
    ):
        for profile in (LLAMA_SERVER, LLAMA_CPP_PYTHON, OLLAMA):
            assert runner.run([outline], plan, profile) == runner.run([whole], plan, profile)


def test_a_model_in_parts_is_sized_as_one(tmp_path: Path, runner: DryRunner) -> None:
    plan = Plan(context_tokens=2048, gpu_layers=0)
    parts = outlines_of(write_split_llama(tmp_path, "split", 3))
    whole = outlines_of([write_llama(tmp_path / "whole.gguf")])
    assert len(parts) == 3
    assert runner.run(parts, plan) == runner.run(whole, plan)


def test_what_an_engine_does_with_its_outputs_is_in_the_size(
    tmp_path: Path, runner: DryRunner
) -> None:
    outline = eight_billion(tmp_path)
    plan = Plan(context_tokens=8192, gpu_layers=0)
    server = runner.run([outline], plan, LLAMA_SERVER)[0]
    python = runner.run([outline], plan, LLAMA_CPP_PYTHON)[0]
    assert python.weights_bytes == server.weights_bytes
    assert python.compute_bytes > server.compute_bytes


def test_a_model_that_is_not_here_takes_no_room_on_disk(tmp_path: Path) -> None:
    path = write_outlines([eight_billion(tmp_path)], tmp_path)
    assert path.stat().st_size > 4 << 30
    assert path.stat().st_blocks * 512 < 1 << 20


def test_what_kills_the_engine_is_told_and_the_next_question_answered(
    model: Path, runner: DryRunner
) -> None:
    with pytest.raises(EngineError, match="cannot size it"):
        runner.run([Outline(b"GGUF" + bytes(4000), 8000)], Plan(gpu_layers=0))
    assert runner.run(outlines_of([model]), Plan(gpu_layers=0))


def test_a_killed_child_is_started_again(model: Path, runner: DryRunner) -> None:
    runner.run(outlines_of([model]), Plan(gpu_layers=0))
    before = runner.pid
    assert before is not None
    os.killpg(before, signal.SIGKILL)
    assert runner.run(outlines_of([model]), Plan(gpu_layers=0))
    assert runner.pid != before


def test_a_child_that_hangs_is_ended_and_the_question_asked_of_another(model: Path) -> None:
    runner = DryRunner(longest_s=5.0)
    runner.run(outlines_of([model]), Plan(gpu_layers=0))
    hung = runner.pid
    assert hung is not None
    os.killpg(hung, signal.SIGSTOP)
    assert runner.run(outlines_of([model]), Plan(gpu_layers=0))
    assert not psutil.pid_exists(hung)
    runner.close()
    assert runner.pid is None
    runner.close()


def test_a_library_that_is_none_is_told(tmp_path: Path, model: Path) -> None:
    runner = DryRunner(tmp_path / "no.so")
    with pytest.raises(EngineError, match="gave no answer"):
        runner.run(outlines_of([model]), Plan(gpu_layers=0))
    assert runner.pid is None
