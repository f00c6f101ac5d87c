"""A folder's model over several cards: a part of every tensor on each, all parts of one size."""

from __future__ import annotations

from collections.abc import Callable

from modeldeck.engines.fit.kept import Kept
from modeldeck.engines.fit.several import part_of, roomiest
from modeldeck.engines.fit.types import Bill, Card, CardShare, Verdict, VerdictKind
from modeldeck.engines.types import Split


def judge_split(
    model: Kept, card: Card, judge: Callable[[Kept, Card], Verdict], *, shares_tensors: bool
) -> Verdict:
    """The roomiest card alone, or all of them with equal parts; the tightest one decides.

    Args:
        model: what it keeps.
        card: made of several.
        judge: of a model, or a part of one, on one card.
        shares_tensors: the engine can split them.
    """
    cards = card.parts
    at = roomiest(card)
    single = judge(model, part_of(card, at))
    numbers = tuple(card.number for card in cards if card.number is not None)
    alone = Split(
        "none",
        tuple(int(number == at) for number in range(len(cards))),
        numbers if len(numbers) == len(cards) else (),
    )
    reason = f"{single.reason}, on {cards[at].name} alone"
    single = single._replace(reason=reason, split=alone)
    dealt = shares_tensors and model.heads % len(cards) == 0
    if single.kind is not VerdictKind.DOES_NOT_FIT or not dealt:
        return single
    tightest = min(range(len(cards)), key=lambda number: cards[number].free_bytes)
    each = judge(model.part(len(cards)), part_of(card, tightest))
    if each.kind is not VerdictKind.FITS or each.bill is None:
        return single
    return each._replace(
        reason=f"{each.reason}, on each of {len(cards)} cards a part of every tensor",
        bill=_whole(each.bill, len(cards)),
        split=Split("tensor", (1,) * len(cards)),
        shares=tuple(CardShare(one, each.layers, each.bill) for one in cards),
    )


def _whole(each: Bill, cards: int) -> Bill:
    """Over all cards; the host has its part once for each."""
    sizes = {name: size * cards for name, size in each._asdict().items() if name.endswith("_bytes")}
    return each._replace(**sizes)
