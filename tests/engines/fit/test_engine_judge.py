"""Verdicts from the engine's sizes alone: held against the formula where there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.catalog.reading import outlines_of
from modeldeck.engines.catalog.scan import model_at
from modeldeck.engines.errors import LoadFailed
from modeldeck.engines.fit.cards import reference_card
from modeldeck.engines.fit.dry_run import STAND_IN, DeviceSizes
from modeldeck.engines.fit.dry_runner import DryRunner
from modeldeck.engines.fit.engine_judge import Placed, judged_by_sizes
from modeldeck.engines.fit.profiles import LLAMA_SERVER
from modeldeck.engines.fit.terms import MARGIN_BYTES
from modeldeck.engines.fit.types import VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.types import Plan
from modeldeck.engines.units import GIB, MIB
from tests.support.gguf_files import write_llama

BLOCKS = 40
LAYER, CACHE_OF_1K, COMPUTE = 200 * MIB, 2 * MIB, 300 * MIB


def engine(name: str = "CUDA0") -> Callable[[Plan], Sequence[DeviceSizes]]:
    """An engine whose model has forty equal blocks."""

    def ask(plan: Plan) -> list[DeviceSizes]:
        on_gpu = min(plan.gpu_layers, BLOCKS)
        kib = plan.context_tokens // 1024
        host = DeviceSizes(
            "Host", LAYER * (BLOCKS - on_gpu), CACHE_OF_1K * kib * (BLOCKS - on_gpu), 50 * MIB
        )
        if not on_gpu:
            return [host]
        there = DeviceSizes(name, LAYER * on_gpu, CACHE_OF_1K * kib * on_gpu, COMPUTE)
        return [there, host]

    return ask


def placed(free_gib: float, plan: Plan | None = None, name: str = "CUDA0") -> Placed:
    card = reference_card(64 * GIB)._replace(free_bytes=round(free_gib * GIB))
    plan = plan or Plan(context_tokens=8192)
    found = judged_by_sizes(plan, BLOCKS, 131072, card, engine(name), LLAMA_SERVER, MARGIN_BYTES)
    assert found is not None
    return found


def test_all_of_it_on_a_roomy_card() -> None:
    verdict, plan = placed(11.6)
    assert (verdict.kind, verdict.source) == (VerdictKind.FITS, "engine")
    assert plan.gpu_layers == BLOCKS + 1
    assert verdict.max_context_tokens is not None
    assert 8192 < verdict.max_context_tokens < 131072


def test_as_many_layers_as_fit() -> None:
    verdict, plan = placed(6)
    assert verdict.kind is VerdictKind.FITS_PARTIAL
    assert verdict.bill is not None
    assert verdict.bill.total_gpu_bytes + MARGIN_BYTES <= 6 * GIB
    more, _ = placed(6, Plan(context_tokens=8192, gpu_layers=plan.gpu_layers + 1))
    assert more.kind is VerdictKind.DOES_NOT_FIT


def test_the_processor_alone_where_no_layer_fits() -> None:
    verdict, plan = placed(0.3)
    assert (verdict.kind, plan.gpu_layers) == (VerdictKind.CPU_ONLY, 0)


def test_a_stand_in_gives_no_answer_of_the_engines() -> None:
    verdict, _ = placed(11.6, name=STAND_IN)
    assert verdict.source == "closed-form"
    assert "CUDA's rules" in verdict.proof


def test_a_build_without_any_device_says_nothing_of_a_card() -> None:
    card = reference_card(64 * GIB)

    def ask(_: Plan) -> list[DeviceSizes]:
        return [DeviceSizes("Host", LAYER, 0, 0)]

    plan = Plan(context_tokens=8192)
    assert judged_by_sizes(plan, BLOCKS, 0, card, ask, LLAMA_SERVER, MARGIN_BYTES) is None


def test_what_the_engine_refuses_is_raised() -> None:
    def ask(_: Plan) -> list[DeviceSizes]:
        raise LoadFailed("It refuses.", "Look for another file.")

    with pytest.raises(LoadFailed):
        judged_by_sizes(Plan(), BLOCKS, 0, reference_card(GIB), ask, LLAMA_SERVER, MARGIN_BYTES)


@given(st.floats(0.05, 16))
def test_more_free_memory_never_means_less(free_gib: float) -> None:
    order = list(VerdictKind)
    less, _ = placed(free_gib)
    more, _ = placed(free_gib + 1)
    assert order.index(more.kind) <= order.index(less.kind)
    assert more.gpu_layers >= less.gpu_layers


@pytest.mark.parametrize("free_mib", [40, 330, 600, 4000])
def test_the_engine_alone_comes_to_the_formulas_verdict(tmp_path: Path, free_mib: int) -> None:
    path = write_llama(tmp_path / "a.gguf")
    header = model_at(path).header
    assert header is not None
    card = reference_card(64 * GIB)._replace(free_bytes=free_mib * MIB)
    plan = Plan(context_tokens=2048)
    runner = DryRunner()
    try:
        outlines = outlines_of((path,))
        found = judged_by_sizes(
            plan,
            int(str(header.hparams["llama.block_count"])),
            header.context_length or 0,
            card,
            lambda asked: runner.run(outlines, asked, cuda=True),
            LLAMA_SERVER,
            MARGIN_BYTES,
        )
    finally:
        runner.close()
    assert found is not None
    assert found.verdict.kind is judge(header, plan, card).kind
