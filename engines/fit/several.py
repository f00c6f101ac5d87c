"""The verdict where a machine has several cards: the best one alone, or all of them together.

One card is better while it holds everything: nothing crosses between cards. Else the layers are
spread, unless that holds no more than the one card.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from modeldeck.engines.fit.placement import Case, longest_context
from modeldeck.engines.fit.split import split_of
from modeldeck.engines.fit.types import Card, Verdict, VerdictKind
from modeldeck.engines.types import Split

_BEST_FIRST: Final = tuple(VerdictKind)


def judge_several(case: Case, judge: Callable[[Case], Verdict]) -> Verdict:
    """The better of both; what the plan's split says when it has one.

    Args:
        case: with a card that is made of several.
        judge: of a case, whatever its cards.
    """
    wanted = case.plan.split
    if wanted is not None and len(wanted.shares) == len(case.card.parts):
        if wanted.mode != "none":
            return _over_all(case, judge(case))
        one = case._replace(card=card_of_split(case.card, wanted))
        return _on_one(judge(one), one.card, wanted)
    at = roomiest(case.card)
    one = case._replace(card=part_of(case.card, at))
    single = judge(one)
    split = Split("none", tuple(int(number == at) for number in range(len(case.card.parts))))
    if single.kind is VerdictKind.FITS:
        longest = None if case.brief else longest_context(case, case.shape.layers)
        return _on_one(single._replace(max_context_tokens=longest), one.card, split)
    # What drafts is a second model: where that would go nobody says.
    together = None if case.plan.draft is not None else judge(case)
    if together is not None and _rank(together) < _rank(single):
        return _over_all(case, together)
    return _on_one(single, one.card, split)


def card_of_split(card: Card, split: Split | None) -> Card:
    """The card that a plan is for: one of several, or all of them."""
    if split is None or split.mode != "none" or len(split.shares) != len(card.parts):
        return card
    return part_of(card, split.card)


def emptied(card: Card) -> Card:
    """The same with nothing on it."""
    return card._replace(free_bytes=card.usable_bytes, parts=tuple(map(emptied, card.parts)))


def roomiest(card: Card) -> int:
    """The number of the card with most free memory, of several."""
    free = [part.free_bytes for part in card.parts]
    return free.index(max(free))


def part_of(card: Card, at: int) -> Card:
    """One of the cards, beside the same host."""
    part = card.parts[at]
    return part._replace(ram_bytes=card.ram_bytes, host=card.host, learnt=card.learnt)


def _rank(verdict: Verdict) -> tuple[int, int, int]:
    """The lower the better: by kind, by layers on a GPU, by experts on the CPU."""
    kind = _BEST_FIRST.index(verdict.kind)
    return kind, -verdict.layers_gpu, verdict.cpu_moe_blocks


def _on_one(verdict: Verdict, card: Card, split: Split) -> Verdict:
    if not verdict.gpu_layers:
        return verdict._replace(split=split)
    return verdict._replace(split=split, reason=f"{verdict.reason}, on {card.name} alone")


def _over_all(case: Case, verdict: Verdict) -> Verdict:
    """With what each card takes."""
    if not verdict.gpu_layers:
        return verdict
    moved = case.with_experts(verdict.cpu_moe_blocks)
    found = moved.shares(verdict.layers_gpu)
    wanted = case.plan.split
    split = wanted if wanted is not None else split_of(found, "layer")
    each = " and ".join(str(one.blocks) for one in found)
    spread = f"{each} layers" if split.mode == "layer" else "a part of every tensor"
    reason = f"{verdict.reason}, over {len(found)} cards: {spread}"
    return verdict._replace(reason=reason, shares=found, split=split)
