"""Published rates beside predicted ones, and how far each is off without its own help."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from math import exp, log
from pathlib import Path
from typing import get_args

from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.decode import decode_rate
from modeldeck.engines.fit.prefill import prefill_rate
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.token_cost import DeviceCost, TokenCost, token_cost
from modeldeck.engines.fit.types import Card, HostSpeed, Rates
from modeldeck.engines.types import KvType, Plan
from tests.accuracy.models import header

# What reading with all threads reaches of the peak of a desktop's two channels.
_REACHED = 0.75
_LANE = {"2": 0.5e9, "3": 0.985e9, "4": 1.969e9}


@dataclass(frozen=True, slots=True)
class Row:
    """One published rate and what is predicted for it.

    Attributes:
        facts: the row of the table.
        rates: predicted.
        measured: tokens per second.
        bound: half width that the prediction must keep; None: not judged.
        family: rows that share the constants they were calibrated with.
    """

    facts: dict[str, str]
    rates: Rates
    measured: float
    bound: float | None
    family: str

    @property
    def error(self) -> float:
        """Predicted beside measured, as a share."""
        return self.rates.middle / self.measured - 1

    @property
    def covered(self) -> bool:
        """The measured rate lies in the predicted band."""
        return self.rates.low <= self.measured <= self.rates.high


@cache
def rows() -> tuple[Row, ...]:
    """Every row of the table with its prediction."""
    text = Path(__file__).with_name("rates.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(_row(facts) for facts in csv.DictReader(lines))


def left_out_error(row: Row) -> float:
    """The error when this row has no say: the constants are scaled by the family's other rows."""
    others = [
        log(other.rates.middle / other.measured)
        for other in rows()
        if other.family == row.family and other.bound and other is not row
    ]
    if not others:
        return row.error
    return (1 + row.error) / exp(sum(others) / len(others)) - 1


def _row(facts: dict[str, str]) -> Row:
    shape = shape_of(header(facts["model"], facts["file"]))
    assert isinstance(shape, Shape), facts["id"]
    cards = [_card(part, facts["bus"]) for part in facts["gpus"].split(" + ") if part]
    rates = _predicted(facts, shape, cards, _host(facts))
    assert rates is not None, facts["id"]
    return Row(
        facts,
        rates,
        float(facts["measured"]),
        float(facts["bound"]) / 100 if facts["bound"] else None,
        _family(facts, shape, cards),
    )


def _predicted(
    facts: dict[str, str], shape: Shape, cards: list[tuple[Card, float]], host: HostSpeed | None
) -> Rates | None:
    plan = Plan(
        kv_type=_kv(facts["kv"]),
        cpu_moe_blocks=int(facts["moe"] or 0),
        micro_batch_tokens=int(facts["ubatch"]),
    )
    blocks = int(facts["layers"] or shape.layers) if cards else None
    depth = int(facts["depth"])
    if facts["kind"] == "decode":
        cost = _moved(token_cost(shape, plan, blocks, depth), float(facts["part"] or 1))
        return decode_rate(cost, cards, host, facts["engine"])
    cost = _moved(token_cost(shape, plan, blocks, depth // 2), float(facts["part"] or 1))
    pipelined = "no pipelining" not in facts["why"]
    return prefill_rate(
        cost,
        cards,
        host,
        micro_batch_tokens=plan.micro_batch_tokens,
        prompt_tokens=depth if pipelined else plan.micro_batch_tokens,
        engine=facts["engine"],
    )


def _moved(cost: TokenCost, part: float) -> TokenCost:
    """Only this share of the host's experts is there; the rest is on the GPU."""
    rest = 1 - part
    gpu, host = cost.gpu, cost.host
    stored = host.stored_bytes - host.weight_bytes

    def with_share(device: DeviceCost, sign: float) -> DeviceCost:
        return device._replace(
            expert_bytes=device.expert_bytes + sign * rest * host.expert_bytes,
            stored_bytes=device.stored_bytes + sign * rest * stored,
            elements=device.elements + sign * rest * host.elements,
        )

    if not rest:
        return cost
    return cost._replace(gpu=with_share(gpu, 1), host=with_share(host, -1))


def _card(text: str, bus: str) -> tuple[Card, float]:
    name, share = text.split("=")
    card = card_named(name, 64 << 30)
    if card.pcie_bytes_per_second is None:
        card = card._replace(pcie_bytes_per_second=24e9)
    if bus:
        generation, lanes = bus.split("x")
        card = card._replace(pcie_bytes_per_second=0.76 * _LANE[generation] * int(lanes))
    return card, float(share)


def _host(facts: dict[str, str]) -> HostSpeed | None:
    if not facts["ram"]:
        return None
    peak = float(facts["ram"].rstrip("?")) * 1e9
    return HostSpeed(_REACHED * peak, int(facts["threads"]))


def _family(facts: dict[str, str], shape: Shape, cards: list[tuple[Card, float]]) -> str:
    where = "the CPU alone" if not cards else "part on the CPU" if facts["ram"] else "all on GPUs"
    if facts["moe"] == "" and facts["layers"] == "" and cards:
        where = "all on GPUs"
    kind = "experts" if shape.experts else "dense"
    return f"{facts['kind']}, {kind}, {where}"


def _kv(name: str) -> KvType:
    return next(kv for kv in get_args(KvType) if kv == name)
