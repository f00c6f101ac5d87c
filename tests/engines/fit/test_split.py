"""A model over several cards: nothing is lost in the split, and each card's bill is its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.fit.card_group import cards_named, together
from modeldeck.engines.fit.cards import card_named, reference_card
from modeldeck.engines.fit.drafting import beside
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.split import dealt_out, shares, split_of
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.fit.types import Card, VerdictKind
from modeldeck.engines.fit.verdict import judge_shape
from modeldeck.engines.types import Draft, Plan, Split
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


@given(st.integers(1, 80), st.lists(st.integers(0, 100), min_size=1, max_size=4))
def test_what_is_asked_for_is_what_llama_cpp_deals_out(blocks: int, free: list[int]) -> None:
    cards = [CARD._replace(free_bytes=size * GIB) for size in free]
    found = shares(shape(blocks, 10), PLAN, cards, blocks)
    asked = split_of(found, "layer")
    assert sum(asked.shares) == blocks + 1
    assert dealt_out(blocks, asked.shares) == [one.blocks for one in found]
    again = shares(shape(blocks, 10), PLAN._replace(split=asked), cards, blocks)
    assert again == found


def spare(card: Card, model: Shape, plan: Plan, layers: int) -> list[int]:
    return [one.spare_bytes for one in shares(model, plan, card.parts, layers)]


TWO = together([CARD, CARD])


def test_one_card_that_holds_it_is_taken_alone() -> None:
    found = judge_shape(shape(), PLAN, together([CARD, card_named("RTX 3090", 32 * GIB)]))
    assert found.kind is VerdictKind.FITS
    assert found.split == Split("none", (0, 1))
    assert found.shares == ()
    assert found.reason.endswith("8k context, on RTX 3090 24GB alone")
    assert found.bill == judge_shape(shape(), PLAN, card_named("RTX 3090", 32 * GIB)).bill


def test_two_cards_hold_what_one_does_not() -> None:
    large = shape(block_mib=420)
    assert judge_shape(large, PLAN, CARD).kind is VerdictKind.FITS_PARTIAL
    found = judge_shape(large, PLAN, TWO)
    assert found.kind is VerdictKind.FITS
    assert found.split == Split("layer", (21, 20))
    assert found.reason.endswith("over 2 cards: 21 and 19 layers")
    assert [one.blocks for one in found.shares] == [21, 19]
    assert found.bill is not None
    assert sum(one.bill.total_gpu_bytes for one in found.shares) == pytest.approx(
        found.bill.total_gpu_bytes, abs=2
    )
    assert all(one.spare_bytes >= 0 for one in found.shares)
    other = cards_named("RTX 3090 + RTX 3060 12GB", 32 * GIB)
    uneven = judge_shape(large, PLAN, other)
    assert uneven.kind is VerdictKind.FITS
    assert uneven.shares == () or uneven.shares[0].blocks > uneven.shares[1].blocks


def test_the_longest_context_is_what_the_tightest_card_holds() -> None:
    large = shape(block_mib=420)
    found = judge_shape(large, PLAN, TWO)
    longest = found.max_context_tokens
    assert longest is not None
    assert 8192 < longest < large.trained_context_tokens
    at, beyond = (PLAN._replace(context_tokens=tokens) for tokens in (longest, longest + 256))
    assert min(spare(TWO, large, at, 40)) >= 0 > min(spare(TWO, large, beyond, 40))


def test_no_more_blocks_would_have_fitted() -> None:
    large = shape(block_mib=700)
    found = judge_shape(large, PLAN, TWO)
    assert found.kind is VerdictKind.FITS_PARTIAL
    k = found.layers_gpu
    assert 0 < k < 40
    assert min(spare(TWO, large, PLAN, k)) >= 0 > min(spare(TWO, large, PLAN, k + 1))
    assert k > judge_shape(large, PLAN, CARD).layers_gpu


def test_a_full_card_beside_an_empty_one_is_left_alone() -> None:
    busy = CARD._replace(free_bytes=300 << 20)
    found = judge_shape(shape(block_mib=420), PLAN, together([busy, CARD]))
    alone = judge_shape(shape(block_mib=420), PLAN, CARD)
    assert found.split == Split("none", (0, 1))
    assert (found.kind, found.layers_gpu) == (alone.kind, alone.layers_gpu)


def test_tensors_are_split_when_that_is_asked_for() -> None:
    plan = PLAN._replace(split=Split("tensor", (1, 1)))
    found = judge_shape(shape(block_mib=420), plan, TWO)
    assert found.kind is VerdictKind.FITS
    assert found.split == plan.split
    assert len({one.bill.weights_gpu_bytes for one in found.shares}) == 1
    assert found.reason.endswith("a part of every tensor")
    # How fast such parts are put together again nobody has measured here.
    assert found.decode_tps is None


def test_two_cards_decode_a_spread_model_no_faster_than_one_large_one() -> None:
    large = shape(block_mib=420)
    spread = judge_shape(large, PLAN, cards_named("2x RTX 3090", 32 * GIB)._replace())
    forced = judge_shape(large, PLAN._replace(split=Split("layer", (20, 21))), TWO)
    assert spread.decode_tps is not None
    assert forced.decode_tps is not None
    assert forced.decode_tps[1] < spread.decode_tps[1]


@pytest.mark.parametrize(
    ("text", "name", "parts"),
    [
        ("RTX 3090", "RTX 3090 24GB", 0),
        ("2x RTX 3090", "2 × RTX 3090 24GB", 2),
        ("rtx 3090+rtx 3060 12gb", "RTX 3090 24GB + RTX 3060 12GB", 2),
        ("2 × RTX 3060 12GB + T4", "2 × RTX 3060 12GB + T4 16GB", 3),
    ],
)
def test_several_cards_have_a_name(text: str, name: str, parts: int) -> None:
    card = cards_named(text, 32 * GIB)
    assert (card.name, len(card.parts)) == (name, parts)
    assert card.free_bytes == sum(one.free_bytes for one in card.parts or (card,))


@pytest.mark.parametrize("text", ["", "RTX 3090 +", "99x RTX 3090", "2x nothing"])
def test_cards_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        cards_named(text, 32 * GIB)


def test_drafting_is_planned_on_one_card() -> None:
    plan = PLAN._replace(draft=Draft("small.gguf"))
    model = beside(shape(block_mib=420), shape(8, 20), ())
    found = judge_shape(model, plan, TWO)
    assert found.kind is VerdictKind.FITS_PARTIAL
    assert found.split == Split("none", (1, 0))
    assert found.bill is not None
    assert found.bill.draft_bytes > 0
