"""What would make it fit: every advice is kept, and who would have to go is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modeldeck.engines.adapters.llama_server_launch import server_words
from modeldeck.engines.fit.advice import advise, must_go
from modeldeck.engines.fit.cards import reference_card
from modeldeck.engines.fit.commands import engine_command, llama_server_command
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.search import answer
from modeldeck.engines.fit.types import Bill, OtherProcess, VerdictKind
from modeldeck.engines.types import Draft, Plan, Split
from tests.support.fit_headers import llama

MIB = 1 << 20
GIB = 1 << 30


CARD = reference_card(32 * GIB)
BETTER = {VerdictKind.FITS, VerdictKind.FITS_EXPERTS_ON_CPU}


@example(45, 646, FitOptions(micro_batch_tokens=4096, gpu_layers=1), 0)
@given(
    st.integers(1, 60),
    st.integers(1, 700),
    st.builds(
        FitOptions,
        context_tokens=st.none() | st.integers(1, 100_000),
        kv_type=st.sampled_from([None, "f16", "q8_0"]),
        micro_batch_tokens=st.sampled_from([None, 512, 4096]),
        slots=st.none() | st.integers(1, 4),
        gpu_layers=st.none() | st.integers(0, 70),
    ),
    st.integers(0, 24 * GIB),
)
def test_an_advice_that_is_taken_works(
    layers: int, block_mib: int, asked: FitOptions, free_bytes: int
) -> None:
    header, card = llama(layers, block_mib), CARD._replace(free_bytes=free_bytes)
    found = answer(header, asked, card)
    for advice in advise(header, found, card):
        if advice.options is None:
            assert " of it, about " in advice.text
            continue
        then = answer(header, advice.options, card)
        assert then.verdict == advice.verdict
        assert then.verdict.kind is not VerdictKind.DOES_NOT_FIT
        assert then.verdict.kind in BETTER or found.verdict.kind is VerdictKind.DOES_NOT_FIT


def test_the_cheapest_change_comes_first() -> None:
    card = CARD._replace(free_bytes=10 * GIB)
    found = answer(llama(), FitOptions(context_tokens=16384), card)
    advices = [one.text for one in advise(llama(), found, card)]
    assert advices[0].startswith("--kv q8_0: saves 1.2 GiB; ")
    assert any(text.startswith("--ctx 8192: ") for text in advices)


def test_where_no_setting_helps_another_file_does() -> None:
    model = llama(64, 283)._replace(parameters=32_800_000_000)
    card = CARD._replace(ram_bytes=4 * GIB)
    found = answer(model, FitOptions(), card)
    assert found.verdict.kind is VerdictKind.DOES_NOT_FIT
    (only,) = advise(model, found, card)
    assert only.text == "IQ3_XXS of it, about 12.4 GiB: then it runs; much loss of quality"
    partly = answer(model, FitOptions(), CARD)
    assert partly.verdict.kind is VerdictKind.FITS_PARTIAL
    (only,) = advise(model, partly, CARD)
    assert only.text == "IQ2_XXS of it, about 9.1 GiB: then it is on the GPU; much loss of quality"


def test_where_one_change_is_too_few_the_options_are_left_to_the_plan() -> None:
    model = llama(64, 283)._replace(parameters=32_800_000_000)
    asked = FitOptions(context_tokens=131072, kv_type="f32", gpu_layers=65)
    (only,) = advise(model, answer(model, asked, CARD), CARD)
    assert only.text == "leave the options to the plan: then it runs"
    small = CARD._replace(free_bytes=6 * GIB, ram_bytes=6 * GIB)
    (only,) = advise(model, answer(model, asked, small), small)
    assert only.text.endswith(
        "then it runs, with the options left to the plan; much loss of quality"
    )


def test_nothing_is_advised_where_all_is_well() -> None:
    assert advise(llama(), answer(llama(), FitOptions(), CARD), CARD) == ()


def test_who_asked_for_the_cpu_is_told_that_the_card_has_room() -> None:
    found = answer(llama(), FitOptions(gpu_layers=0), CARD)
    (only,) = advise(llama(), found, CARD)
    assert only.text == "without --ngl: then it is on the GPU; no cost"


@pytest.mark.parametrize(
    ("holders", "said"),
    [
        (
            (("firefox", 300), ("python", 2000), ("blender", 900)),
            ["end blender: frees 0.88 GiB", "end python: frees 2.0 GiB"],
        ),
        ((("firefox", 300), ("Xorg", 400)), ["end Xorg and firefox: frees 0.68 GiB"]),
        ((("firefox", 100),), []),
    ],
)
def test_who_must_go_is_named(holders: tuple[tuple[str, int], ...], said: list[str]) -> None:
    bill = Bill(weights_gpu_bytes=8 * GIB, margin_bytes=256 * MIB)
    card = CARD._replace(free_bytes=8 * GIB - 300 * MIB)
    processes = [OtherProcess(name, mib * MIB) for name, mib in holders]
    assert [one.text for one in must_go(bill, card, processes)] == said


@pytest.mark.parametrize(
    "plan",
    [
        Plan(context_tokens=16384, kv_type="q8_0", gpu_layers=49, cpu_moe_blocks=20),
        Plan(swa_full=True, slots=3, flash_attention=False, mmap=False),
        Plan(draft=Draft("/models/small.gguf", 5), adapters=("/a.gguf", "/b.gguf")),
        Plan(draft=Draft(), gpu_layers=0),
        Plan(split=Split("layer", (21, 20)), gpu_layers=41),
        Plan(split=Split("none", (0, 1)), cpu_moe_blocks=3),
        Plan(split=Split("tensor", (1, 1)), gpu_layers=0),
    ],
)
def test_a_command_says_the_whole_plan_as_the_deck_does(plan: Plan) -> None:
    words = llama_server_command("/models/a b.gguf", plan)
    ours = server_words("llama-server", Path("/models/a b.gguf"), plan, None)
    at = ours.index("-t")
    assert words == ours[:at] + ours[at + 2 :]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("hf:owner/name:Q4_K_M", ("-hf", "owner/name:Q4_K_M")),
        ("hf:owner/name:a-Q8_0.gguf", ("-hfr", "owner/name", "-hff", "a-Q8_0.gguf")),
        (
            "hf:owner/name@v2:sub/a.gguf",
            ("-mu", "https://huggingface.co/owner/name/resolve/v2/sub/a.gguf"),
        ),
        ("https://host/a.gguf", ("-mu", "https://host/a.gguf")),
    ],
)
def test_a_model_that_is_not_here_is_named_as_llama_server_takes_it(
    target: str, words: tuple[str, ...]
) -> None:
    assert llama_server_command(target, Plan())[1 : 1 + len(words)] == words


def test_other_engines_get_the_plan_in_their_own_words() -> None:
    plan = Plan(context_tokens=8192, slots=2, gpu_layers=33)
    serve = engine_command("vllm", "hf:owner/name", plan)
    assert serve[:3] == ("vllm", "serve", "owner/name")
    branch = engine_command("vllm", "hf:owner/name@4bit", plan)
    assert branch[2:5] == ("owner/name", "--revision", "4bit")
    assert engine_command("sglang", "hf:owner/name@4bit", plan)[4:6] == ("owner/name", "--revision")
    assert "4096" in serve
    assert engine_command("llama_server", "all-in-one.llamafile", plan) == ()
