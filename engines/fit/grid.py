"""Quantisation by context: which variants of a model fit at which length, and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from modeldeck.engines.fit.companions import ALONE, Companions
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.fit.search import answer
from modeldeck.engines.fit.types import Card, VerdictKind
from modeldeck.engines.types import ModelHeader

GRID_CONTEXTS: Final = (4096, 8192, 16384, 32768, 65536, 131072)
"""The columns that are shown unless others are asked for."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant at one context.

    Attributes:
        context_tokens: over all slots.
        kind: the verdict; None where the model was not trained for so much context.
        layers_gpu: blocks on the GPU.
        layers: all blocks.
        decode_tps: predicted, as (low, middle, high); None when not derivable.
        reason: the verdict's sentence.
    """

    context_tokens: int
    kind: VerdictKind | None
    layers_gpu: int = 0
    layers: int = 0
    decode_tps: tuple[float, float, float] | None = None
    reason: str = "more than the model was trained for"


@dataclass(frozen=True, slots=True)
class GridRow:
    """One variant over all contexts; ``name`` is its quantisation unless the caller has another."""

    name: str
    size_bytes: int
    cells: tuple[Cell, ...]


def grid(
    headers: Sequence[ModelHeader],
    options: FitOptions,
    card: Card,
    contexts: Sequence[int] = GRID_CONTEXTS,
    *,
    companions: Companions = ALONE,
) -> tuple[GridRow, ...]:
    """Every variant at every context, the largest variant first.

    Args:
        headers: variants of one model.
        options: what was given; its context is replaced by each of ``contexts``.
        card: what is free.
        contexts: in tokens.
        companions: what is loaded with each.
    """

    def cell(header: ModelHeader, context_tokens: int) -> Cell:
        if 0 < header.context_length < context_tokens:
            return Cell(context_tokens, None)
        asked = replace(options, context_tokens=context_tokens)
        verdict = answer(
            header, asked, card, model_format=header.format, companions=companions
        ).verdict
        return Cell(
            context_tokens,
            verdict.kind,
            verdict.layers_gpu,
            verdict.layers,
            verdict.decode_tps,
            verdict.reason,
        )

    rows = [
        GridRow(
            header.quantisation,
            header.weights.total_bytes,
            tuple(cell(header, context) for context in contexts),
        )
        for header in headers
    ]
    return tuple(sorted(rows, key=lambda row: -row.size_bytes))
