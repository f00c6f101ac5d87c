"""What must hold of every answer, whatever the model, the options and the card."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.search import Answer, answer
from modeldeck.engines.fit.types import RUNS, Card, VerdictKind
from modeldeck.engines.types import KvType, ModelHeader
from tests.support.any_model import header
from tests.support.strategies import built

NAMES = "llama gemma3 gpt-oss qwen3moe deepseek2 qwen35 mamba2 falcon-h1 gemma3n bert phi2 lfm2"
SCALE = 500
"""Blocks of 50 MB, or of 200 with experts: some of six fit on the cards below."""

MIB = 1 << 20
KV_TYPES: list[KvType] = ["f32", "f16", "q8_0", "q4_0"]

models = st.builds(header, st.sampled_from(NAMES.split()), st.booleans(), st.just(SCALE))


def a_card(usable_mib: int, part: int, ram_mib: int) -> Card:
    usable = usable_mib * MIB
    return Card("a card", usable, usable * part // 100, True, ram_mib * MIB)


cards = st.builds(a_card, st.integers(0, 4096), st.integers(0, 100), st.integers(0, 8192))
asked = built(
    FitOptions,
    context_tokens=st.none() | st.integers(1, 200_000),
    kv_type=st.none() | st.sampled_from(KV_TYPES),
    micro_batch_tokens=st.none() | st.sampled_from([1, 31, 512, 2048]),
    slots=st.none() | st.integers(1, 8),
    gpu_layers=st.none() | st.integers(0, 30),
    cpu_moe_blocks=st.none() | st.integers(0, 30),
    flash_attention=st.sampled_from([None, False]),
    swa_full=st.sampled_from([None, True]),
    margin_bytes=st.integers(0, 1024 * MIB),
)
ORDER = [
    VerdictKind.DOES_NOT_FIT,
    VerdictKind.CPU_ONLY,
    VerdictKind.FITS_PARTIAL,
    VerdictKind.FITS_EXPERTS_ON_CPU,
    VerdictKind.FITS,
]


def given_stays(options: FitOptions, found: Answer) -> None:
    plan = found.plan
    pairs = (
        (options.context_tokens, plan.context_tokens),
        (options.kv_type, plan.kv_type),
        (options.micro_batch_tokens, plan.micro_batch_tokens),
        (options.slots, plan.slots),
        (options.cpu_moe_blocks, plan.cpu_moe_blocks),
        (options.flash_attention, plan.flash_attention),
        (options.swa_full, plan.swa_full),
    )
    assert all(wanted in (None, got) for wanted, got in pairs)
    if options.gpu_layers is not None and found.shape is not None:
        assert plan.gpu_layers == min(options.gpu_layers, found.shape.layers + 1)


@settings(max_examples=60)
@given(models, asked, cards)
def test_what_is_said_of_a_card_is_what_the_numbers_say(
    model: ModelHeader, options: FitOptions, card: Card
) -> None:
    found = answer(model, options, card)
    given_stays(options, found)
    verdict, bill = found.verdict, found.verdict.bill
    if bill is None:
        assert verdict.kind in (VerdictKind.CANNOT_RUN, VerdictKind.NOT_JUDGED)
        return
    need = bill.total_gpu_bytes + options.margin_bytes
    assert found.fits_now == (need <= card.free_bytes)
    assert found.fits_empty == (need <= card.usable_bytes)
    there = need <= card.free_bytes or found.plan.gpu_layers == 0
    assert (verdict.kind in RUNS) == (there and bill.total_host_bytes <= card.ram_bytes)
    if verdict.kind in RUNS:
        assert verdict.gpu_layers == found.plan.gpu_layers
        assert verdict.layers_gpu == max(found.plan.gpu_layers - 1, 0)


@settings(max_examples=60)
@given(models, asked, cards)
def test_the_largest_context_fits_and_the_next_does_not(
    model: ModelHeader, options: FitOptions, card: Card
) -> None:
    found = answer(model, options, card)
    most = found.max_context_tokens
    if not most or found.verdict.bill is None:
        return
    assert most <= model.context_length
    plan = found.plan
    same = replace(
        options, gpu_layers=plan.gpu_layers, cpu_moe_blocks=plan.cpu_moe_blocks, slots=plan.slots
    )
    assert answer(model, replace(same, context_tokens=most), card).verdict.kind in RUNS
    if most < model.context_length:
        more = answer(model, replace(same, context_tokens=most + 256), card)
        assert more.verdict.kind is VerdictKind.DOES_NOT_FIT


@settings(max_examples=40)
@given(models, asked, cards, st.integers(1, 1024 * MIB))
def test_more_free_memory_is_never_a_worse_answer(
    model: ModelHeader, options: FitOptions, card: Card, more: int
) -> None:
    options = replace(options, context_tokens=options.context_tokens or 4096)
    wider = card._replace(usable_bytes=card.usable_bytes + more, free_bytes=card.free_bytes + more)
    less, better = (answer(model, options, one).verdict.kind for one in (card, wider))
    if less in ORDER:
        assert ORDER.index(less) <= ORDER.index(better)


@settings(max_examples=20)
@given(models, asked)
def test_more_layers_are_more_on_the_gpu(model: ModelHeader, options: FitOptions) -> None:
    # Of a block whose experts stay, the rest may be less than the copies that its move saves.
    options = replace(options, cpu_moe_blocks=0)
    card = Card("a card", 64 << 30, 64 << 30, True, 64 << 30)
    totals: list[int] = []
    for layers in (0, 1, 2, 3, 4, 5, 6, 7, 20, 24, 25):
        found = answer(model, replace(options, gpu_layers=layers), card)
        if found.verdict.bill is not None:
            totals.append(found.verdict.bill.total_gpu_bytes)
    assert totals == sorted(totals)
