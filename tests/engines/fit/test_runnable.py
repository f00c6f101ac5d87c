"""Which format runs where: the table, and what a user is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.cards import card_named, card_with_vram, known_cards
from modeldeck.engines.fit.options import ENGINE_FORMATS, FitOptions
from modeldeck.engines.fit.runnable import CannotRun, Runs, rules, runnable
from modeldeck.engines.fit.search import answer
from modeldeck.engines.fit.types import VerdictKind
from modeldeck.engines.types import ModelFormat
from tests.accuracy.models import header

RAM = 32 << 30
F = ModelFormat


@pytest.mark.parametrize(
    ("model_format", "engine", "card", "said"),
    [
        (F.GGUF, "llama_server", "GTX 1060 6GB", ""),
        (F.GGUF, "ollama", "RX 7900 XTX", "by ROCm or Vulkan"),
        (F.GGUF, "llama_server", "M2 Max 64GB", "by Metal"),
        (F.FP8, "vllm", "RTX 3060 12GB", "weight-only, by Marlin: saves memory"),
        (F.FP8, "vllm", "RTX 4090", ""),
        (F.FP8, "vllm", "T4", "weight-only"),
        (F.NVFP4, "vllm", "RTX 3090", "weight-only"),
        (F.NVFP4, "vllm", "RTX 5090", ""),
        (F.AWQ, "vllm", "RTX 2080 Ti", "without Marlin"),
        (F.AWQ, "vllm", "RTX 3060 12GB", "by Marlin"),
        (F.GPTQ, "vllm", "V100", "without Marlin"),
        (F.EXL2, "exllamav2", "RTX 2060 6GB", ""),
        (F.EXL3, "exllamav3", "RTX 3060 12GB", ""),
        (F.SAFETENSORS, "vllm", "T4", "as float16"),
        (F.BITSANDBYTES, "transformers", "GTX 1080", "4-bit only"),
        (F.MLX, "mlx_lm", "M1 16GB", ""),
    ],
)
def test_what_runs_says_how(model_format: F, engine: str, card: str, said: str) -> None:
    found = runnable(model_format, engine, card_named(card, RAM))
    assert isinstance(found, Runs)
    assert found.note.startswith(said)
    assert bool(said) == bool(found.note)
    assert found.source


@pytest.mark.parametrize(
    ("model_format", "engine", "card", "why"),
    [
        (F.GGUF, "vllm", "RTX 3060 12GB", "vllm does not load GGUF"),
        (F.EXL3, "exllamav3", "RTX 2080 Ti", "need compute capability 8.0"),
        (F.EXL3, "exllamav3", "RX 7900 XTX", "does not run EXL3 on RX 7900 XTX"),
        (F.EXL2, "exllamav2", "GTX 1080 Ti", "below compute capability 7.5"),
        (F.AWQ, "vllm", "V100", "7.5; V100 16GB has 7.0"),
        (F.FP8, "vllm", "GTX 1080", "7.5; GTX 1080 8GB has 6.1"),
        (F.NVFP4, "vllm", "RTX 2060 6GB", "8.0; RTX 2060 6GB has 7.5"),
        (F.NVFP4, "transformers", "RTX 4090", "Blackwell"),
        (F.MLX, "mlx_lm", "RTX 4090", "does not run MLX"),
    ],
)
def test_what_does_not_run_says_why(model_format: F, engine: str, card: str, why: str) -> None:
    found = runnable(model_format, engine, card_named(card, RAM))
    assert isinstance(found, CannotRun)
    assert why in found.reason


def test_a_card_that_nobody_knows_may_run_what_its_engine_reads() -> None:
    unknown = card_with_vram(12 << 30, RAM)
    assert runnable(F.EXL3, "exllamav3", unknown) == Runs(sure=False)
    assert isinstance(runnable(F.EXL3, "vllm", unknown), CannotRun)


def test_every_rule_has_a_source_and_speaks_of_what_there_is() -> None:
    formats = {one.value for one in ModelFormat}
    for rule in rules():
        assert rule.runs.source
        assert set(rule.formats) <= formats
        assert set(rule.engines) <= {*ENGINE_FORMATS, "tabbyapi", "tensorrt_llm", "mlx_lm"}
        assert rule.least == 0 or rule.vendors == ("nvidia",)


def test_whatever_an_engine_loads_runs_on_the_newest_card_it_is_made_for() -> None:
    newest = card_named("RTX 5090", RAM)
    for engine, formats in ENGINE_FORMATS.items():
        for one in formats:
            assert isinstance(runnable(one, engine, newest), Runs), (engine, one)


def test_a_refusal_always_says_why() -> None:
    oldest = card_named("M40 24GB", RAM)
    for engine, formats in ENGINE_FORMATS.items():
        for one in formats:
            found = runnable(one, engine, oldest)
            if isinstance(found, CannotRun):
                assert found.reason.endswith("M40 24GB has 5.2")
                assert not found.reason.startswith(";"), (engine, one)
                assert found.source


def test_the_verdict_on_a_folder_says_that_its_card_is_too_old() -> None:
    found = answer(
        header("Qwen2_5-7B", "F16"),
        FitOptions(engine="vllm"),
        card_named("GTX 1080 Ti", RAM),
        model_format=F.AWQ,
    )
    assert found.verdict.kind is VerdictKind.CANNOT_RUN
    assert "compute capability 7.5" in found.verdict.reason


def test_the_verdict_on_a_folder_says_what_is_different_on_its_card() -> None:
    def reason(card: str) -> str:
        found = answer(
            header("TinyLlama-1_1B", "Q4_K_M"),
            FitOptions(engine="vllm"),
            card_named(card, RAM),
            model_format=F.FP8,
        )
        assert found.verdict.kind is VerdictKind.FITS, found.verdict
        return found.verdict.reason

    assert reason("RTX 3060 12GB").endswith(
        "weight-only, by Marlin: saves memory, computes in 16 bits"
    )
    assert "Marlin" not in reason("RTX 4090")


@given(st.sampled_from(list(F)), st.sampled_from(sorted(ENGINE_FORMATS)))
def test_a_newer_card_runs_what_an_older_one_does(model_format: F, engine: str) -> None:
    rows = [row for row in known_cards() if row.vendor == "nvidia"]
    by_age = sorted(rows, key=lambda row: float(row.compute))
    runs = [
        isinstance(runnable(model_format, engine, card_named(row.title, RAM)), Runs)
        for row in by_age
    ]
    assert runs == sorted(runs)
