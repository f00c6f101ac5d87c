"""Engines for folders of safetensors: what is given is kept, and the context is what gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.card_group import together
from modeldeck.engines.fit.cards import reference_card
from modeldeck.engines.fit.commands import engine_command
from modeldeck.engines.fit.options import FitOptions, usual_engine
from modeldeck.engines.fit.search import Answer, answer
from modeldeck.engines.fit.types import Card, VerdictKind
from modeldeck.engines.types import ModelFormat, ModelHeader, Plan, Split, WeightTable
from tests.support.fit_headers import llama

MIB = 1 << 20
GIB = 1 << 30
CARD = reference_card(32 * GIB)
LOADS = {
    "exllamav2": ModelFormat.EXL2,
    "exllamav3": ModelFormat.EXL3,
    "transformers": ModelFormat.SAFETENSORS,
    "vllm": ModelFormat.AWQ,
    "sglang": ModelFormat.AWQ,
}
ENGINES = sorted(LOADS)


def folder(weights_mib: int = 5000, trained: int = 40960) -> ModelHeader:
    """A folder's header: its tensors are not told apart by block."""
    weights = WeightTable(token_embedding_bytes=500 * MIB, other_bytes=(weights_mib - 500) * MIB)
    return llama(trained=trained)._replace(weights=weights)


def judged(header: ModelHeader, options: FitOptions, card: Card, engine: str) -> Answer:
    asked = replace(options, engine=engine)
    return answer(header, asked, card, model_format=LOADS[engine])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_small_model_fits_and_says_how_much_context(engine: str) -> None:
    found = judged(folder(), FitOptions(context_tokens=4096), CARD, engine)
    assert found.verdict.kind is VerdictKind.FITS
    assert (found.engine, found.plan.context_tokens) == (engine, 4096)
    assert found.verdict.layers_gpu == found.verdict.layers == 40
    assert (found.max_context_tokens or 0) >= 4096


@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_model_does_not_fit_and_nothing_goes_to_the_cpu(engine: str) -> None:
    found = judged(folder(20_000), FitOptions(), CARD, engine)
    assert found.verdict.kind is VerdictKind.DOES_NOT_FIT
    assert found.max_context_tokens == 0
    assert engine in found.verdict.reason


@given(
    st.sampled_from(ENGINES),
    st.integers(600, 14_000),
    st.integers(1, 40_960),
    st.integers(0, 11_906),
    st.integers(0, 1000),
)
def test_the_verdict_is_the_arithmetic_and_more_memory_never_worsens_it(
    engine: str, weights_mib: int, context_tokens: int, free_mib: int, margin_mib: int
) -> None:
    card = CARD._replace(free_bytes=free_mib * MIB)
    asked = FitOptions(context_tokens=context_tokens, margin_bytes=margin_mib * MIB)
    found = judged(folder(weights_mib), asked, card, engine)
    bill = found.verdict.bill
    assert bill is not None
    assert found.plan.context_tokens == context_tokens
    assert found.fits_now == (bill.total_gpu_bytes + margin_mib * MIB <= card.free_bytes)
    if found.verdict.kind is VerdictKind.FITS:
        assert found.fits_now
        richer = judged(folder(weights_mib), asked, CARD, engine)
        assert richer.verdict.kind is VerdictKind.FITS


def test_the_context_gives_when_nobody_asked_for_one() -> None:
    card = CARD._replace(free_bytes=7400 * MIB)
    found = judged(folder(), FitOptions(), card, "exllamav2")
    assert found.verdict.kind is VerdictKind.FITS
    assert 4096 <= found.plan.context_tokens < 8192
    asked = judged(folder(), FitOptions(context_tokens=8192), card, "exllamav2")
    assert asked.verdict.kind is VerdictKind.DOES_NOT_FIT
    assert asked.max_context_tokens == found.plan.context_tokens


def test_a_cache_that_the_engine_does_not_have_cannot_run() -> None:
    found = judged(folder(), FitOptions(kv_type="q5_1"), CARD, "exllamav2")
    assert found.verdict.kind is VerdictKind.CANNOT_RUN
    assert found.verdict.reason.startswith("cannot run: exllamav2 has no q5_1 cache")


def test_a_server_with_pages_says_how_many_requests_there_is_room_for() -> None:
    found = judged(folder(), FitOptions(context_tokens=4096), CARD, "vllm")
    assert "requests of 4k at once" in found.verdict.reason


@pytest.mark.parametrize(
    ("model_format", "engine"),
    [
        (ModelFormat.GGUF, "llama_server"),
        (ModelFormat.EXL3, "exllamav3"),
        (ModelFormat.GPTQ, "exllamav2"),
        (ModelFormat.FP8, "vllm"),
        (ModelFormat.SAFETENSORS, "transformers"),
        (ModelFormat.MLX, ""),
    ],
)
def test_every_format_has_its_usual_engine(model_format: ModelFormat, engine: str) -> None:
    assert usual_engine(model_format) == engine


TWO = together([CARD, CARD])


@pytest.mark.parametrize("engine", ["vllm", "sglang", "exllamav2", "exllamav3"])
def test_two_cards_hold_a_part_of_every_tensor_each(engine: str) -> None:
    large = folder(16_000)
    alone = judged(large, FitOptions(context_tokens=4096), CARD, engine)
    assert alone.verdict.kind is VerdictKind.DOES_NOT_FIT
    both = judged(large, FitOptions(context_tokens=4096), TWO, engine)
    assert both.verdict.kind is VerdictKind.FITS, both.verdict.reason
    assert (both.fits_now, both.fits_empty) == (True, True)
    assert both.plan.split == Split("tensor", (1, 1))
    assert "on each of 2 cards a part of every tensor" in both.verdict.reason
    bill, shares = both.verdict.bill, both.verdict.shares
    assert bill is not None
    assert [one.card for one in shares] == [CARD, CARD]
    assert sum(one.bill.total_gpu_bytes for one in shares) == bill.total_gpu_bytes
    assert all(one.spare_bytes >= 0 for one in shares)


def test_one_card_that_holds_a_folder_is_taken_alone() -> None:
    found = judged(folder(), FitOptions(context_tokens=4096), TWO, "vllm")
    assert found.plan.split == Split("none", (1, 0))
    assert "on RTX 3060 12GB alone" in found.verdict.reason


def test_the_tightest_card_decides_for_all() -> None:
    busy = CARD._replace(free_bytes=4 << 30)
    found = judged(folder(16_000), FitOptions(context_tokens=4096), together([CARD, busy]), "vllm")
    assert found.verdict.kind is VerdictKind.DOES_NOT_FIT
    three = judged(folder(16_000), FitOptions(), together([CARD] * 3), "vllm")
    assert three.verdict.kind is VerdictKind.DOES_NOT_FIT  # 32 heads have no thirds


def test_transformers_stays_on_one_card() -> None:
    found = judged(folder(16_000), FitOptions(context_tokens=4096), TWO, "transformers")
    assert found.verdict.kind is VerdictKind.DOES_NOT_FIT


def test_the_servers_are_told_over_how_many_cards() -> None:
    plan = Plan(split=Split("tensor", (1, 1)))
    assert engine_command("vllm", "/m", plan)[-2:] == ("--tensor-parallel-size", "2")
    assert engine_command("sglang", "/m", plan)[-2:] == ("--tp-size", "2")
    alone = engine_command("sglang", "/m", Plan(split=Split("none", (0, 1))))
    assert alone[:4] == ("env", "CUDA_DEVICE_ORDER=PCI_BUS_ID", "CUDA_VISIBLE_DEVICES=1", "python")
    assert "--tp-size" not in alone
    hidden = engine_command("vllm", "/m", Plan(split=Split("none", (0, 1), (3, 2))))
    assert hidden[2] == "CUDA_VISIBLE_DEVICES=2"
