"""Predicted rates: what must hold of every model, card and placement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.cards import card_named, card_with_vram
from modeldeck.engines.fit.prefill import prefill_rate
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.speed import decode_rates, speeds
from modeldeck.engines.fit.token_cost import token_cost
from modeldeck.engines.fit.types import Card, HostSpeed, Rates
from modeldeck.engines.types import Plan
from tests.accuracy.models import header, known_models

HOST = HostSpeed(40e9, 8)
CARD = card_named("RTX 3060 12GB", 64 << 30)._replace(host=HOST)
FILES = {"Llama-2-7B": "Q4_0", "gpt-oss-20b": "MXFP4", "Qwen3_6-35B-A3B": "Q4_K_M"}


def shape(model: str) -> Shape:
    found = shape_of(header(model, FILES[model]))
    assert isinstance(found, Shape)
    return found


SHAPES = {model: shape(model) for model in FILES}
models = st.sampled_from(sorted(FILES))
contexts = st.integers(256, 131072)


def decode(
    model: str, plan: Plan, blocks: int | None, card: Card = CARD, *, at_context: bool = False
) -> Rates:
    found = speeds(SHAPES[model], plan, card, blocks)
    rates = found.decode_at_context if at_context else found.decode
    assert rates is not None
    return rates


@given(models, st.floats(1.0, 3.0), st.integers(0, 24))
def test_more_bandwidth_is_never_slower(model: str, faster: float, moe: int) -> None:
    assert CARD.bandwidth_bytes_per_second is not None
    better = CARD._replace(bandwidth_bytes_per_second=CARD.bandwidth_bytes_per_second * faster)
    plan, blocks = Plan(cpu_moe_blocks=moe), SHAPES[model].layers
    assert decode(model, plan, blocks, better) >= decode(model, plan, blocks)
    better = CARD._replace(host=HostSpeed(HOST.bandwidth_bytes_per_second * faster, HOST.threads))
    assert decode(model, plan, blocks, better) >= decode(model, plan, blocks)


@given(models, contexts, contexts)
def test_deeper_is_never_faster(model: str, one: int, other: int) -> None:
    shallow, deep = sorted((one, other))
    blocks = SHAPES[model].layers
    rate = decode(model, Plan(context_tokens=shallow), blocks, at_context=True)
    assert rate >= decode(model, Plan(context_tokens=deep), blocks, at_context=True)
    assert decode(model, Plan(context_tokens=shallow), blocks) >= rate


@given(models, st.integers(0, 23), st.integers(0, 24), contexts)
def test_more_on_a_slower_processor_is_never_faster(
    model: str, blocks: int, moe: int, context: int
) -> None:
    plan = Plan(context_tokens=context)
    more, less = decode(model, plan, blocks), decode(model, plan, blocks + 1)
    assert more.middle <= less.middle * 1.0001
    layers = SHAPES[model].layers
    with_experts = decode(model, plan._replace(cpu_moe_blocks=moe), layers)
    without = decode(model, plan._replace(cpu_moe_blocks=moe + 1), layers)
    assert without.middle <= with_experts.middle * 1.0001


@given(models, st.integers(0, 24), st.integers(0, 24), contexts)
def test_gpu_and_host_together_read_the_whole_token(
    model: str, blocks: int, moe: int, depth: int
) -> None:
    found = SHAPES[model]
    plan = Plan(cpu_moe_blocks=moe)
    whole = token_cost(found, Plan(), found.layers, depth)
    split = token_cost(found, plan, blocks, depth)
    read = split.gpu.read_bytes + split.host.read_bytes
    assert read == pytest.approx(whole.gpu.read_bytes, rel=1e-6)
    elements = split.gpu.elements + split.host.elements
    assert elements == pytest.approx(whole.gpu.elements, rel=1e-6)
    assert min(split.gpu.read_bytes, split.host.read_bytes) >= 0


@given(models, st.integers(1, 40))
def test_a_prompt_is_read_slower_the_more_must_be_copied_to_the_gpu(model: str, moe: int) -> None:
    blocks = SHAPES[model].layers
    usual = speeds(SHAPES[model], Plan(), CARD, blocks).prefill
    moved = speeds(SHAPES[model], Plan(cpu_moe_blocks=moe), CARD, blocks).prefill
    assert usual is not None
    assert moved is not None
    assert moved.middle <= usual.middle * 1.0001


@pytest.mark.parametrize("model", sorted(FILES))
def test_a_short_prompt_is_read_no_faster_than_the_weights_are(model: str) -> None:
    cost = token_cost(SHAPES[model], Plan(), SHAPES[model].layers, 16)
    short, long = (
        prefill_rate(cost, [(CARD, 1.0)], HOST, prompt_tokens=tokens) for tokens in (33, 512)
    )
    assert short is not None
    assert long is not None
    assert CARD.bandwidth_bytes_per_second is not None
    reading = cost.gpu.stored_bytes / CARD.bandwidth_bytes_per_second
    assert short.middle <= min(long.middle, 33 / reading)


def test_only_the_experts_in_use_are_read() -> None:
    cost = token_cost(SHAPES["gpt-oss-20b"], Plan(), 24, 0)
    # 4 of 32 experts of 24 blocks, three matrices of 2880 by 2880 at 4.25 bits.
    assert cost.gpu.expert_bytes == pytest.approx(24 * 4 * 3 * 2880**2 * 4.25 / 8, rel=1e-6)
    assert cost.gpu.read_bytes == pytest.approx(2.6e9, rel=0.02)


def test_a_sliding_window_is_all_that_its_blocks_read_of_a_long_context() -> None:
    found = SHAPES["gpt-oss-20b"]
    near, far = (token_cost(found, Plan(), 24, depth).gpu.cache_bytes for depth in (128, 16384))
    per_token = 2 * 8 * 64 * 2
    assert near == 24 * 128 * per_token
    assert far == 12 * 16384 * per_token + 12 * 128 * per_token


def test_without_a_gpu_the_processor_sets_the_pace() -> None:
    found = speeds(SHAPES["Llama-2-7B"], Plan(gpu_layers=0), CARD, None)
    assert found.decode is not None
    # 3.75 GB for each token at 95 % of 40 GB/s.
    assert found.decode.middle == pytest.approx(0.95 * 40e9 / 3.749e9, rel=0.01)
    assert found.prefill is not None


def test_what_is_not_known_is_not_guessed() -> None:
    unknown = card_with_vram(12 << 30, 32 << 30)
    assert decode_rates(SHAPES["Llama-2-7B"], unknown) is None
    assert speeds(SHAPES["Llama-2-7B"], Plan(), unknown, 32) == (None, None, None)
    unmeasured = CARD._replace(host=None)
    assert speeds(SHAPES["Llama-2-7B"], Plan(), unmeasured, 20).decode is None
    assert speeds(SHAPES["Llama-2-7B"], Plan(), unmeasured, 32).decode is not None


def test_every_model_of_the_table_is_one_the_closed_form_knows() -> None:
    assert len(known_models()) >= 12
