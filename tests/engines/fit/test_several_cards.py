"""A model over several cards: nothing is lost in the split, and each card's bill is its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.cards import card_named, reference_card
from modeldeck.engines.fit.several_cards import (
    SplitMode,
    dealt_out,
    most_blocks_over,
    shares,
)
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.types import Plan
from tests.support.fit_headers import llama

GIB = 1 << 30
CARD = reference_card(32 * GIB)
PLAN = Plan(context_tokens=8192)


def shape(layers: int = 40, block_mib: int = 183) -> Shape:
    found = shape_of(llama(layers, block_mib))
    assert isinstance(found, Shape)
    return found


@pytest.mark.parametrize(
    ("blocks", "free", "counts"),
    [
        (40, [1, 1], [21, 19]),
        (39, [1, 1], [20, 19]),
        (32, [3, 1], [25, 7]),
        (32, [1], [32]),
        (0, [1, 1], [0, 0]),
        (5, [0, 0], [0, 5]),
        (7, [0, 1], [0, 7]),
    ],
)
def test_blocks_are_dealt_out_by_what_is_free(
    blocks: int, free: list[int], counts: list[int]
) -> None:
    assert dealt_out(blocks, free) == counts


@given(
    st.integers(1, 60),
    st.integers(1, 400),
    st.lists(st.integers(0, 24 * GIB), min_size=1, max_size=4),
    st.data(),
)
def test_nothing_is_lost_when_layers_are_split(
    layers: int, block_mib: int, free: list[int], data: st.DataObject
) -> None:
    model, k = shape(layers, block_mib), data.draw(st.integers(0, layers))
    cards = [CARD._replace(free_bytes=size) for size in free]
    parts = shares(model, PLAN, cards, k)
    whole = bill(model, PLAN, PLAN.context_tokens, k, cards=len(cards))
    assert sum(part.blocks for part in parts) == k
    assert sum(part.bill.weights_gpu_bytes for part in parts) == whole.weights_gpu_bytes
    assert sum(part.bill.kv_gpu_bytes for part in parts) == whole.kv_gpu_bytes
    assert sum(part.bill.total_host_bytes for part in parts) == whole.total_host_bytes
    assert all(part.bill.compute_gpu_bytes > 0 for part in parts)


@given(st.integers(2, 4))
def test_split_tensors_weigh_the_same_on_each_card(count: int) -> None:
    model = shape()
    parts = shares(model, PLAN, [CARD] * count, 40, mode="tensor")
    assert len({part.bill.weights_gpu_bytes for part in parts}) == 1
    whole = bill(model, PLAN, 8192, 40, cards=count)
    assert 0 <= count * parts[0].bill.weights_gpu_bytes - whole.weights_gpu_bytes < count


def test_one_card_has_the_whole_bill() -> None:
    (only,) = shares(shape(), PLAN, [CARD], 40)
    assert only.bill == bill(shape(), PLAN, 8192, 40)


@pytest.mark.parametrize("mode", ["layer", "tensor"])
def test_two_cards_hold_what_one_does_not(mode: SplitMode) -> None:
    large = shape(block_mib=420)
    assert most_blocks_over(large, PLAN, [CARD], mode=mode) < 40
    assert most_blocks_over(large, PLAN, [CARD, CARD], mode=mode) == 40
    other = card_named("RTX 3090", 32 * GIB)
    assert most_blocks_over(large, PLAN, [other, CARD]) == 40


def test_no_more_blocks_would_have_fitted() -> None:
    large, cards = shape(block_mib=700), [CARD, CARD]
    k = most_blocks_over(large, PLAN, cards)
    assert 0 < k < 40
    over = shares(large, PLAN, cards, k + 1)
    assert any(
        one.bill.total_gpu_bytes + one.bill.margin_bytes > one.card.free_bytes for one in over
    )
