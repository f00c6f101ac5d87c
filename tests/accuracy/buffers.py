"""Published buffers beside predicted ones."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, get_args

from modeldeck.engines.fit.profiles import LLAMA_CPP_PYTHON, LLAMA_SERVER, EngineProfile
from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.fit.types import Bill
from modeldeck.engines.types import KvType, Plan
from modeldeck.engines.units import MIB
from tests.accuracy.models import header

TERMS: Final = ("gpu", "cpu", "kv", "rs", "both", "compute", "host", "output")

_OLD: Final = EngineProfile("old", outputs_follow_batch=True, value_indices=False)
_PROFILES: Final = {"old": _OLD, "python": LLAMA_CPP_PYTHON, "llama_server": LLAMA_SERVER}


@dataclass(frozen=True, slots=True)
class Buffer:
    """One published number of one load.

    Attributes:
        facts: the row of the table.
        term: which buffer.
        published_mib: as logged.
        predicted_mib: in closed form.
    """

    facts: dict[str, str]
    term: str
    published_mib: float
    predicted_mib: float

    @property
    def error_mib(self) -> float:
        """Predicted less published."""
        return self.predicted_mib - self.published_mib

    @property
    def held(self) -> bool:
        """It has a bound: nothing that decides it was left out of the report."""
        return self.term not in self.facts["open"].split()

    @property
    def holds(self) -> bool:
        """Weights within a MiB or the file's rounding, caches 0.1 %, compute 5 % or 32 MiB."""
        allowed = {
            "gpu": max(8.0, 0.002 * self.published_mib),
            "cpu": 1.0,
            "kv": max(0.6, 0.001 * self.published_mib),
            "rs": max(0.1, 0.001 * self.published_mib),
            "both": max(0.8, 0.001 * self.published_mib),
        }.get(self.term, max(32.0, 0.05 * self.published_mib))
        return abs(self.error_mib) <= allowed


@cache
def facts() -> tuple[dict[str, str], ...]:
    """The rows of the table."""
    text = Path(__file__).with_name("buffers.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(csv.DictReader(lines))


@cache
def buffers() -> tuple[Buffer, ...]:
    """Every published number with its prediction."""
    return tuple(buffer for row in facts() for buffer in _of(row))


@cache
def unpriced() -> tuple[dict[str, str], ...]:
    """Published rows that nothing can be said of, and why."""
    text = Path(__file__).with_name("unpriced.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(csv.DictReader(lines))


def _of(row: dict[str, str]) -> list[Buffer]:
    shape = shape_of(header(row["model"], row["file"]))
    assert isinstance(shape, Shape), (row["id"], shape)
    profile = _PROFILES[row["build"]]
    if row["slots"].endswith("s"):
        profile = profile._replace(unified=False)
    cards = int(row["gpus"])
    plan = Plan(
        context_tokens=int(row["ctx"]),
        kv_type=next(kv for kv in get_args(KvType) if kv == row["kv_type"]),
        slots=int(row["slots"].rstrip("s")),
        micro_batch_tokens=int(row["ubatch"]),
        flash_attention=row["fa"] == "1",
        cpu_moe_blocks=int(row["moe"] or 0),
        swa_full=row["full"] == "1",
    )
    blocks = int(row["blocks"] or shape.layers) if cards else None
    terms = bill(shape, plan, plan.context_tokens, blocks, profile=profile, cards=max(cards, 1))
    logits = 4 * plan.slots * shape.vocabulary
    found = _found(terms, max(cards, 1), logits, all_blocks=not row["blocks"])
    return [Buffer(row, term, float(row[term]), found[term] / MIB) for term in TERMS if row[term]]


def _found(terms: Bill, cards: int, logits: int, *, all_blocks: bool) -> dict[str, float]:
    kv = terms.kv_gpu_bytes + terms.kv_host_bytes * all_blocks
    rs = terms.recurrent_gpu_bytes + terms.recurrent_host_bytes
    return {
        "gpu": terms.weights_gpu_bytes,
        "cpu": terms.weights_host_bytes,
        "kv": kv,
        "rs": rs,
        "both": kv + rs,
        "compute": terms.compute_gpu_bytes / cards,
        "host": terms.compute_host_bytes - logits,
        "output": logits,
    }
