"""The guide's claims, held against what is known of the models themselves."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from modeldeck.engines.fit import guide as guide_module
from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.guide import Truth, guide, model_header

GIB = 1 << 30


def told(claim: str, truths: tuple[Truth, ...]) -> Truth:
    return next(truth for truth in truths if truth.claim.startswith(claim))


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("llama-2-7b", 6.74),
        ("llama-2-13b", 13.02),
        ("qwen2_5-32b", 32.76),
        ("qwen3-30b-a3b", 30.53),
        ("llama-3_1-70b", 70.55),
    ],
)
def test_the_shapes_have_the_parameters_that_are_published(name: str, billions: float) -> None:
    path = Path(str(guide_module.__file__)).with_suffix(".toml")
    facts = tomllib.loads(path.read_text(encoding="utf-8"))["models"][name]
    assert model_header(facts).parameters / 1e9 == pytest.approx(billions, rel=0.002)


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ("7B FP16", "13.48 GB = 12.6 GiB"),
        ("13B 8-bit", "13.83 GB = 12.9 GiB"),
        ("30B 4-bit runs on 12 GB", "billion weights"),
        ("70B 2-bit", "> 11.6 GiB"),
    ],
)
def test_none_of_the_large_models_is_all_on_twelve_gib(claim: str, says: str) -> None:
    truth = told(claim, guide(64 * GIB))
    assert not truth.holds
    assert says in truth.arithmetic
    assert "layers on the GPU" in truth.truth


def test_a_mixture_of_30b_runs_with_its_experts_on_the_cpu() -> None:
    truth = told("30B 4-bit runs on 12 GB (a mixture", guide(64 * GIB))
    assert truth.holds
    assert "experts on the CPU" in truth.truth


def test_another_card_makes_another_truth() -> None:
    truth = told("7B FP16", guide(64 * GIB, card_named("RTX 3090", 64 * GIB)))
    assert truth.holds
    assert "fits" in truth.truth


def test_the_reserve_is_counted_and_not_guessed() -> None:
    assert (
        told("keep", guide(64 * GIB)).arithmetic == "driver 382 + CUDA 250 + margin 256 = 888 MiB"
    )
