"""Loads that ran fully on a card, or did not fit there, beside the verdict."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

from modeldeck.engines.fit.cards import reference_card
from modeldeck.engines.fit.companions import Companions
from modeldeck.engines.fit.types import VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.types import KvType, Plan
from modeldeck.engines.units import MIB
from tests.accuracy.models import header


@dataclass(frozen=True, slots=True)
class Placed:
    """One load.

    Attributes:
        facts: the row of the table.
        ran: it was all on the card.
        fits: the verdict, without a margin: what it promises at most.
        need_mib: total on the GPU.
        free_mib: of the card.
    """

    facts: dict[str, str]
    ran: bool
    fits: bool
    need_mib: float
    free_mib: float


@cache
def placed() -> tuple[Placed, ...]:
    """Every row of the table with its verdict."""
    text = Path(__file__).with_name("placed.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(_placed(row) for row in csv.DictReader(lines))


def _placed(row: dict[str, str]) -> Placed:
    card = reference_card(64 << 30)
    if row["free"]:
        card = card._replace(free_bytes=int(row["free"]) * MIB)
    model = header(row["model"], row["file"])
    layers = model.hparams[f"{model.architecture}.block_count"]
    assert isinstance(layers, int)
    plan = Plan(
        context_tokens=int(row["ctx"]),
        kv_type=next(kv for kv in get_args(KvType) if kv == row["kv"]),
        slots=int(row["slots"]),
        micro_batch_tokens=int(row["ubatch"]),
        gpu_layers=layers + 1,
    )
    verdict = judge(model, plan, card, Companions(int(row["projector"] or 0) * MIB))
    assert verdict.bill is not None, row["id"]
    need = verdict.bill.total_gpu_bytes
    return Placed(
        row,
        row["ran"] == "yes",
        verdict.kind is VerdictKind.FITS,
        need / MIB,
        card.free_bytes / MIB,
    )
