"""Which variant of a repository is best for a card, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from modeldeck.engines.fit.quants import bits_per_weight
from modeldeck.engines.fit.types import RUNS, Card, Verdict, VerdictKind
from modeldeck.engines.types import ModelHeader
from modeldeck.engines.units import tokens_text
from modeldeck.tui.hub_state import Best, Variant
from modeldeck.tui.state import Options

ENOUGH_BITS: Final = 8.75
"""More bits per weight than 8-bit quantisations have make nothing better that can be noticed."""
FAIR_BITS: Final = 4.0
"""Below this a model loses more than what runs faster is worth."""
_SAME_SIZE: Final = 0.9
_RANKS: Final = (
    VerdictKind.FITS,
    VerdictKind.FITS_EXPERTS_ON_CPU,
    VerdictKind.FITS_PARTIAL,
    VerdictKind.CPU_ONLY,
)


class _Judged(NamedTuple):
    variant: Variant
    verdict: Verdict
    header: ModelHeader

    @property
    def rank(self) -> int:
        return _RANKS.index(self.verdict.kind)

    @property
    def bits(self) -> float:
        return bits_per_weight(self.header)

    @property
    def size_bytes(self) -> int:
        return self.header.weights.total_bytes


def best_variant(variants: Iterable[Variant], options: Options, card: Card) -> Best | None:
    """The judged variant to take on ``card``, and why; None where none runs.

    What is whole on the GPU comes before what is not. Among it the model with the most parameters
    is taken that is of 4 bits at least, in the most bits up to 8, because they cost nothing else.
    Of what spills over the smallest from 4-bit on: every gigabyte less on the CPU is speed.
    """
    judged = [
        _Judged(one, one.verdict, one.header)
        for one in variants
        if one.header is not None and one.verdict is not None and one.verdict.kind in RUNS
    ]
    if not judged:
        return None
    whole = [one for one in judged if one.verdict.kind is VerdictKind.FITS]
    if whole:
        return _of_whole(whole, options, card)
    fair = [one for one in judged if one.bits >= FAIR_BITS] or judged
    rank = min(one.rank for one in fair)
    taken = min((one for one in fair if one.rank == rank), key=lambda one: one.size_bytes)
    return Best(taken.variant.target, _why_spilling(taken, card))


def _of_whole(whole: list[_Judged], options: Options, card: Card) -> Best:
    fair = [one for one in whole if one.bits >= FAIR_BITS] or whole
    most = max(one.header.parameters for one in fair)
    largest = [one for one in whole if one.header.parameters >= _SAME_SIZE * most]
    enough = [one for one in largest if one.bits <= ENOUGH_BITS]
    if enough:
        taken = max(enough, key=lambda one: one.bits)
    else:
        taken = min(largest, key=lambda one: one.bits)
    where = f"whole with {tokens_text(options.context_tokens)} context on {card.name}"
    if not enough:
        reason = f"fits {where}"
    elif len(largest) < len(whole):
        reason = f"the most parameters that fit {where}"
    elif len(enough) < len(largest):
        reason = f"fits {where}; more bits make no difference that is noticed"
    else:
        reason = f"the most bits per weight that fit {where}"
    return Best(taken.variant.target, reason)


def _why_spilling(taken: _Judged, card: Card) -> str:
    verdict = taken.verdict
    match verdict.kind:
        case VerdictKind.FITS_EXPERTS_ON_CPU:
            how = f"fits with experts of {verdict.cpu_moe_blocks} blocks on the CPU"
        case VerdictKind.FITS_PARTIAL:
            how = f"none fits whole; {verdict.layers_gpu} of {verdict.layers} layers on {card.name}"
        case _:
            how = "none fits the card; it runs on the CPU"
    quality = "the smallest from 4-bit on" if taken.bits >= FAIR_BITS else "the smallest"
    return f"{how}, {quality}"
