"""By which engine a format runs on a card, and what a row of the list says of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.cards import CardRow, card_named, card_with_vram, known_cards
from modeldeck.engines.fit.kept import kept_of
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.row import judge_file, judge_kept, without_engine
from modeldeck.engines.fit.runnable import CannotRun, runnable
from modeldeck.engines.fit.search import answer
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.types import VerdictKind
from modeldeck.engines.fit.way import Way, way_of
from modeldeck.engines.types import EngineInfo, ModelFormat, Plan
from tests.accuracy.models import header

RAM = 32 << 30
F = ModelFormat
ALL = frozenset(F)
LLAMA = header("Qwen2_5-7B", "F16")


def engine(name: str, formats: frozenset[F] = ALL) -> EngineInfo:
    return EngineInfo(name, name, formats, "")


@pytest.mark.parametrize(
    ("model_format", "card", "here", "runs_by", "note", "too_old"),
    [
        (F.GGUF, "RTX 3060 12GB", (), "llama_server", "", ""),
        (F.FP8, "RTX 3060 12GB", ("vllm",), "vllm", "weight-only, by Marlin", ""),
        (F.FP8, "RTX 4090", ("vllm",), "vllm", "", ""),
        (F.FP8, "GTX 1080", ("vllm",), "vllm", "", "needs compute capability 7.5"),
        (F.FP8, "RTX 3060 12GB", ("transformers", "vllm"), "vllm", "weight-only", ""),
        (F.FP8, "RTX 3060 12GB", ("transformers",), "transformers", "", "compute capability 8.9"),
        (F.EXL3, "RTX 2080 Ti", ("exllamav3",), "exllamav3", "", "compute capability 8.0"),
        (F.EXL3, "RTX 3090", (), "exllamav3", "", ""),
        (F.MLX, "RTX 3090", (), "", "", ""),
        (F.MLX, "RTX 3090", ("own",), "own", "", ""),
    ],
)
def test_the_first_engine_that_runs_it_on_the_card(
    model_format: F, card: str, here: tuple[str, ...], runs_by: str, note: str, too_old: str
) -> None:
    way = way_of(model_format, card_named(card, RAM), [engine(name) for name in here])
    assert way.engine == runs_by
    assert way.here is (bool(here) or model_format is F.GGUF)
    assert way.note.startswith(note)
    assert bool(way.note) == bool(note)
    assert too_old in way.too_old
    assert bool(way.too_old) == bool(too_old)


@given(st.sampled_from(known_cards()), st.sampled_from(list(F)))
def test_a_way_says_what_the_rules_say(row: CardRow, model_format: F) -> None:
    card = card_named(row.title, RAM)
    way = way_of(model_format, card, ())
    if way.engine:
        found = runnable(model_format, way.engine, card)
        assert isinstance(found, CannotRun) == bool(way.too_old)


def test_a_row_and_the_command_line_say_the_same_of_a_folder() -> None:
    plan = Plan(context_tokens=8192)
    for name in ("RTX 3060 12GB", "RTX 4090", "GTX 1080"):
        card = card_named(name, RAM)
        for model_format, runs_by in ((F.FP8, "vllm"), (F.EXL3, "exllamav3")):
            way = way_of(model_format, card, [engine(runs_by)])
            row = judge_kept(kept_of(LLAMA), plan, card, way)
            asked = FitOptions(context_tokens=8192, engine=runs_by)
            told = answer(LLAMA, asked, card, model_format=model_format).verdict
            assert (row.kind, row.bill) == (told.kind, told.bill)
            assert row.reason.removeprefix("cannot run here") == told.reason.removeprefix(
                "cannot run"
            )


def test_a_cache_type_that_an_engine_lacks_does_not_take_its_models_away() -> None:
    plan = Plan(context_tokens=8192, kv_type="q8_0")
    card = card_named("RTX 4090", RAM)
    row = judge_kept(kept_of(LLAMA), plan, card, Way("vllm", True))
    assert row.kind is VerdictKind.FITS
    assert row.reason.endswith("the cache is of 16 bits")


def test_without_the_engine_the_row_says_what_it_would_do() -> None:
    card = card_named("RTX 3060 12GB", RAM)
    way = way_of(F.FP8, card, ())
    would = judge_kept(kept_of(LLAMA), Plan(context_tokens=4096), card, way)
    row = without_engine(F.FP8, way, would)
    assert (row.kind, row.bill) == (VerdictKind.CANNOT_RUN, would.bill)
    assert row.reason == f"cannot run here: no engine for FP8; with vllm: {would.reason}"
    assert row.max_context_tokens is None
    old = way_of(F.FP8, card_named("GTX 1080", RAM), ())
    assert "and vLLM's FP8 needs compute capability 7.5" in without_engine(F.FP8, old, row).reason


def test_a_card_too_old_for_llama_cpp_leaves_the_processor() -> None:
    kepler = card_with_vram(12 << 30, RAM)._replace(name="K80", vendor="nvidia", compute="3.7")
    way = way_of(F.GGUF, kepler, ())
    shape = shape_of(LLAMA)
    row = judge_file(shape, Plan(context_tokens=4096), kepler, way)
    assert row.kind is VerdictKind.CPU_ONLY
    assert row.reason.endswith("need compute capability 5.0; K80 has 3.7")
