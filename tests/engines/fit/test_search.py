"""What is given is kept, what is not is planned, and the verdict is the arithmetic of the bill."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.fit.cards import reference_card
from modeldeck.engines.fit.options import FitOptions, engine_name
from modeldeck.engines.fit.search import answer
from modeldeck.engines.fit.types import Card, VerdictKind
from modeldeck.engines.types import BlockWeights, HParam, ModelHeader, WeightTable
from tests.support.fit_headers import llama
from tests.support.strategies import built

MIB = 1 << 20
GIB = 1 << 30
CARD = reference_card(32 * GIB)
ORDER = [
    VerdictKind.DOES_NOT_FIT,
    VerdictKind.CPU_ONLY,
    VerdictKind.FITS_PARTIAL,
    VerdictKind.FITS_EXPERTS_ON_CPU,
    VerdictKind.FITS,
]


headers = st.builds(
    llama, st.integers(1, 60), st.integers(1, 700), st.sampled_from([0, 4096, 40960])
)
options = st.builds(
    FitOptions,
    context_tokens=st.none() | st.integers(1, 200_000),
    kv_type=st.sampled_from([None, "f16", "q8_0", "q4_0"]),
    micro_batch_tokens=st.sampled_from([None, 1, 512, 4096]),
    slots=st.none() | st.integers(1, 8),
    gpu_layers=st.none() | st.integers(0, 70),
    cpu_moe_blocks=st.none() | st.integers(0, 70),
    flash_attention=st.sampled_from([None, True]),
    swa_full=st.sampled_from([None, True, False]),
    margin_bytes=st.integers(0, 2 * GIB),
)
cards = built(
    Card,
    name=st.just("a card"),
    usable_bytes=st.just(24 * GIB),
    free_bytes=st.integers(0, 24 * GIB),
    what_if=st.just(True),
    ram_bytes=st.integers(0, 64 * GIB),
)


@given(headers, options, cards)
def test_what_is_given_is_never_changed(
    header: ModelHeader, given_options: FitOptions, card: Card
) -> None:
    plan = answer(header, given_options, card).plan
    layers = header.weights.blocks[-1].number + 1
    for name in (
        *("context_tokens", "kv_type", "micro_batch_tokens", "slots"),
        *("cpu_moe_blocks", "flash_attention", "swa_full"),
    ):
        wanted = getattr(given_options, name)
        assert wanted is None or getattr(plan, name) == wanted
    if given_options.gpu_layers is not None:
        assert plan.gpu_layers == min(given_options.gpu_layers, layers + 1)
    assert plan.kv_type == (given_options.kv_type or "f16")


@given(headers, options, cards)
def test_it_fits_when_total_and_margin_are_free(
    header: ModelHeader, given_options: FitOptions, card: Card
) -> None:
    found = answer(header, given_options, card)
    bill = found.verdict.bill
    assert bill is not None
    need = bill.total_gpu_bytes + given_options.margin_bytes
    assert found.fits_now == (need <= card.free_bytes)
    assert found.fits_empty == (need <= card.usable_bytes)
    runs = found.verdict.kind is not VerdictKind.DOES_NOT_FIT
    if runs and found.plan.gpu_layers:
        assert found.fits_now
    in_memory = bill.total_host_bytes <= card.ram_bytes
    if found.plan.gpu_layers:
        assert runs == (found.fits_now and in_memory)
    else:
        assert runs == in_memory


@given(headers, options, cards, st.integers(0, 24 * GIB))
def test_more_free_memory_never_worsens_the_verdict(
    header: ModelHeader, given_options: FitOptions, card: Card, more: int
) -> None:
    now = answer(header, given_options, card)
    then = answer(header, given_options, card._replace(free_bytes=card.free_bytes + more))
    assert ORDER.index(then.verdict.kind) >= ORDER.index(now.verdict.kind)
    if then.plan == now.plan:
        assert (then.max_context_tokens or 0) >= (now.max_context_tokens or 0)


@given(headers, options, cards)
def test_the_largest_context_is_for_the_same_placement(
    header: ModelHeader, given_options: FitOptions, card: Card
) -> None:
    found = answer(header, given_options, card)
    longest = found.max_context_tokens
    assert longest is not None
    if longest == 0:
        assert found.verdict.kind is VerdictKind.DOES_NOT_FIT or found.plan.context_tokens < 256
        return
    there = replace(
        given_options,
        context_tokens=longest,
        gpu_layers=found.plan.gpu_layers,
        cpu_moe_blocks=found.plan.cpu_moe_blocks,
        flash_attention=found.plan.flash_attention,
    )
    assert answer(header, there, card).verdict.kind is not VerdictKind.DOES_NOT_FIT


def test_four_gib_free_of_twelve_change_the_answer() -> None:
    busy = CARD._replace(free_bytes=4 * GIB)
    whole, part = answer(llama(), FitOptions(), CARD), answer(llama(), FitOptions(), busy)
    assert whole.verdict.kind is VerdictKind.FITS
    assert (part.verdict.kind, part.fits_now, part.fits_empty) == (
        VerdictKind.FITS_PARTIAL,
        True,
        True,
    )
    asked = FitOptions(context_tokens=8192, gpu_layers=41)
    refused = answer(llama(), asked, busy)
    assert (refused.verdict.kind, refused.fits_now, refused.fits_empty) == (
        VerdictKind.DOES_NOT_FIT,
        False,
        True,
    )


def test_context_is_given_up_before_speed_but_not_below_4096() -> None:
    tight = CARD._replace(free_bytes=9900 * MIB)
    found = answer(llama(), FitOptions(), tight, usual_context_tokens=16384)
    assert found.verdict.kind is VerdictKind.FITS
    assert 4096 <= found.plan.context_tokens < 16384
    assert found.plan.context_tokens == found.max_context_tokens
    asked = answer(llama(), FitOptions(context_tokens=16384), tight)
    assert asked.verdict.kind is VerdictKind.FITS_PARTIAL
    tighter = answer(llama(), FitOptions(), CARD._replace(free_bytes=9000 * MIB))
    assert (tighter.verdict.kind, tighter.plan.context_tokens) == (VerdictKind.FITS_PARTIAL, 8192)


def test_layers_count_as_in_llama_cpp() -> None:
    found = answer(llama(), FitOptions(gpu_layers=21, context_tokens=4096), CARD)
    assert (found.verdict.layers_gpu, found.plan.gpu_layers) == (20, 21)
    everything = answer(llama(), FitOptions(gpu_layers=99, context_tokens=4096), CARD)
    assert (everything.plan.gpu_layers, everything.verdict.kind) == (41, VerdictKind.FITS)


def test_an_engine_that_loads_no_gguf_cannot_run_it() -> None:
    found = answer(llama(), FitOptions(engine="exllamav2"), CARD)
    assert found.verdict.kind is VerdictKind.CANNOT_RUN
    assert found.max_context_tokens == 0


def test_engines_are_named_either_way() -> None:
    assert engine_name("llama-server") == engine_name("llama_server") == "llama_server"
    with pytest.raises(SettingsError, match="no engine called"):
        engine_name("steam")


def qwen3_30b_a3b() -> ModelHeader:
    """Qwen3-30B-A3B at four bits: 48 blocks of 355 MiB, nine tenths of which are experts."""
    blocks = tuple(BlockWeights(at, 26 * MIB, 329 * MIB, 0) for at in range(48))
    hparams: dict[str, HParam] = {
        "block_count": 48,
        "embedding_length": 2048,
        "feed_forward_length": 6144,
        "expert_feed_forward_length": 768,
        "expert_count": 128,
        "expert_used_count": 8,
        "attention.head_count": 32,
        "attention.head_count_kv": 4,
        "attention.key_length": 128,
        "attention.value_length": 128,
    }
    return llama()._replace(
        architecture="qwen3moe",
        hparams={f"qwen3moe.{key}": value for key, value in hparams.items()},
        weights=WeightTable(blocks, 167 * MIB, 0, 244 * MIB),
    )


def test_a_mixture_of_experts_leaves_as_few_on_the_cpu_as_will_do() -> None:
    header, asked = qwen3_30b_a3b(), FitOptions(context_tokens=8192)
    found = answer(header, asked, CARD)
    assert found.verdict.kind is VerdictKind.FITS_EXPERTS_ON_CPU
    assert (found.verdict.layers_gpu, found.plan.gpu_layers) == (48, 49)
    fewest = found.plan.cpu_moe_blocks
    assert 0 < fewest < 48
    assert f"{fewest} of 48 blocks' experts on the CPU" in found.verdict.reason
    kept = replace(asked, gpu_layers=49, cpu_moe_blocks=fewest)
    assert answer(header, kept, CARD).verdict.bill == found.verdict.bill
    fewer = replace(kept, cpu_moe_blocks=fewest - 1)
    assert answer(header, fewer, CARD).verdict.kind is VerdictKind.DOES_NOT_FIT


def test_only_without_any_expert_do_layers_leave_the_card() -> None:
    small = CARD._replace(free_bytes=1800 * MIB)
    found = answer(qwen3_30b_a3b(), FitOptions(context_tokens=8192), small)
    assert found.verdict.kind is VerdictKind.FITS_PARTIAL
    assert found.plan.cpu_moe_blocks == 48
    assert 0 < found.verdict.layers_gpu < 48


def test_layers_that_were_asked_for_may_have_their_experts_on_the_cpu() -> None:
    header, asked = qwen3_30b_a3b(), FitOptions(context_tokens=8192, gpu_layers=49)
    found = answer(header, asked, CARD)
    assert found.verdict.kind is VerdictKind.FITS_EXPERTS_ON_CPU
    none_moved = replace(asked, cpu_moe_blocks=0)
    assert answer(header, none_moved, CARD).verdict.kind is VerdictKind.DOES_NOT_FIT


def test_memory_of_the_machine_counts_for_experts_too() -> None:
    poor = CARD._replace(ram_bytes=2 * GIB)
    found = answer(qwen3_30b_a3b(), FitOptions(context_tokens=8192), poor)
    assert found.verdict.kind is VerdictKind.DOES_NOT_FIT
