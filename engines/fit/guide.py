"""What guides claim of 12 GB cards, each with the truth and its arithmetic, all of it computed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from modeldeck.engines.fit.cards import known_cards, reference_card
from modeldeck.engines.fit.options import ENGINE_FORMATS, FitOptions
from modeldeck.engines.fit.profiles import LLAMA_SERVER
from modeldeck.engines.fit.quants import QUANTS, requantised
from modeldeck.engines.fit.search import Answer, answer
from modeldeck.engines.fit.terms import MARGIN_BYTES
from modeldeck.engines.fit.types import WHOLE_ON_GPU, Bill, Card, VerdictKind
from modeldeck.engines.types import BlockWeights, HParam, ModelFormat, ModelHeader, WeightTable
from modeldeck.engines.units import GIB, MIB, gib_text

CONTEXT_TOKENS: Final = 4096
"""Guides name no context; this is what Llama 2 was trained for."""

_FOUR_BITS: Final = "Q4_K_M"
_BITS: Final = dict(QUANTS)
_GB: Final = 1e9


@dataclass(frozen=True, slots=True)
class Truth:
    """One claim and what is so.

    Attributes:
        claim: as guides put it.
        holds: it is true.
        truth: what is so, in a sentence.
        arithmetic: how one gets there.
    """

    claim: str
    holds: bool
    truth: str
    arithmetic: str


def guide(ram_bytes: int, card: Card | None = None) -> tuple[Truth, ...]:
    """Every claim, judged for an RTX 3060 12GB unless another card is given.

    Args:
        ram_bytes: of the machine, for what does not fit on the card.
        card: to judge for.
    """
    text = Path(__file__).with_name("guide.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)
    models = {name: model_header(facts) for name, facts in table["models"].items()}
    titles = {name: str(facts["title"]) for name, facts in table["models"].items()}
    on = card or reference_card(ram_bytes)
    return (
        *(
            _runs(entry, models[entry["model"]], titles[entry["model"]], on)
            for entry in table["runs"]
        ),
        *(
            _takes(entry, models[entry["model"]], titles[entry["model"]], on)
            for entry in table["takes"]
        ),
        _reserve(on),
    )


def model_header(facts: Mapping[str, Any]) -> ModelHeader:
    """An F16 header of a published shape: the matrices it must have, and no more."""
    width, layers = int(facts["embedding_length"]), int(facts["block_count"])
    heads, kv_heads, size = facts["head_count"], facts["head_count_kv"], facts["head_size"]
    attention = width * size * (2 * heads + 2 * kv_heads)
    experts = facts.get("expert_count", 0) * 3 * width * facts.get("expert_feed_forward_length", 0)
    dense = attention + (0 if experts else 3 * width * facts["feed_forward_length"])
    table = width * facts["vocabulary"]
    name = facts["architecture"]
    keys = {
        "block_count": layers,
        "embedding_length": width,
        "feed_forward_length": facts["feed_forward_length"],
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.key_length": size,
        "attention.value_length": size,
    }
    keys |= {key: value for key, value in facts.items() if key.startswith("expert_")}
    hparams: dict[str, HParam] = {f"{name}.{key}": value for key, value in keys.items()}
    blocks = tuple(BlockWeights(at, 2 * dense, 2 * experts, 0) for at in range(layers))
    return ModelHeader(
        architecture=name,
        name=facts["title"],
        parameters=layers * (dense + experts) + 2 * table,
        quantisation="F16",
        context_length=facts["context_length"],
        vocabulary_size=facts["vocabulary"],
        has_chat_template=True,
        hparams=hparams,
        weights=WeightTable(blocks, 2 * table, 0, 2 * table),
        tensor_count=9 * layers + 3,
    )


def _runs(entry: Mapping[str, Any], header: ModelHeader, title: str, card: Card) -> Truth:
    quantisation = str(entry["quantisation"])
    found = _judged(header, quantisation, card)
    kind = found.verdict.kind
    best = next(
        (
            name
            for name, _ in reversed(QUANTS)
            if _judged(header, name, card).verdict.kind is VerdictKind.FITS
        ),
        "",
    )
    yes = kind is VerdictKind.FITS
    rate = found.verdict.decode_tps
    speed = f", about {rate[1]:.0f} tok/s" if rate else ""
    fits = "" if yes else f"; {best} is the largest that fits" if best else "; no type of it fits"
    return Truth(
        str(entry["claim"]),
        kind in WHOLE_ON_GPU,
        f"{title} {quantisation}: {found.verdict.reason}{speed}{fits if not yes else ''}",
        _arithmetic(header, quantisation, found, card),
    )


def _judged(
    header: ModelHeader, quantisation: str, card: Card, engine: str | None = None
) -> Answer:
    scaled = requantised(header, quantisation, _BITS[quantisation])
    return answer(scaled, FitOptions(context_tokens=CONTEXT_TOKENS, engine=engine), card)


def _arithmetic(header: ModelHeader, quantisation: str, found: Answer, card: Card) -> str:
    bits = _BITS[quantisation]
    size = header.parameters * bits / 8
    weights = (
        f"{header.parameters / 1e9:.2f} billion weights of {bits:.2f} bits are "
        f"{size / _GB:.2f} GB = {gib_text(round(size))}"
    )
    bill = _everything(header, quantisation, card)
    total = bill.total_gpu_bytes + found.options.margin_bytes
    sign = "<=" if total <= card.free_bytes else ">"
    free = gib_text(card.free_bytes)
    margin = f"margin {found.options.margin_bytes / GIB:.2f}"
    return f"{weights}; all on the GPU: {_sum(bill)} + {margin} = {gib_text(total)} {sign} {free}"


def _everything(
    header: ModelHeader, quantisation: str, card: Card, engine: str | None = None
) -> Bill:
    """The bill with everything on the GPU, whether it fits or not."""
    scaled = requantised(header, quantisation, _BITS[quantisation])
    options = FitOptions(
        context_tokens=CONTEXT_TOKENS,
        gpu_layers=len(header.weights.blocks) + 1,
        cpu_moe_blocks=0,
        engine=engine,
    )
    return answer(scaled, options, card).verdict.bill or Bill()


def _sum(bill: Bill) -> str:
    terms = (
        ("weights", bill.weights_gpu_bytes),
        ("cache", bill.kv_gpu_bytes),
        ("compute", bill.compute_gpu_bytes),
        ("CUDA", bill.context_overhead_bytes),
    )
    return " + ".join(f"{name} {size / GIB:.2f}" for name, size in terms if size)


def _takes(entry: Mapping[str, Any], header: ModelHeader, title: str, card: Card) -> Truth:
    engine = str(entry.get("engine", "llama_server"))
    if ModelFormat.GGUF in ENGINE_FORMATS[engine]:
        bill = _everything(header, _FOUR_BITS, card, engine)
        taken, how = bill.total_gpu_bytes, f"{_FOUR_BITS}: {_sum(bill)} GiB"
    elif "share" in entry:
        share = float(entry["share"])
        taken = round(share * card.usable_bytes)
        how = f"{share:.0%} of {gib_text(card.usable_bytes)}. {entry['source']}"
    else:
        bill = _everything(header, _FOUR_BITS, card)
        bits, fixed = float(entry["bits"]), int(entry["fixed_mib"]) * MIB
        weights = round(bill.weights_gpu_bytes * bits / _BITS[_FOUR_BITS])
        taken = weights + bill.kv_gpu_bytes + fixed
        how = (
            f"weights {weights / GIB:.2f} at {bits} bits + cache {bill.kv_gpu_bytes / GIB:.2f}"
            f" + {fixed / GIB:.2f} GiB. {entry['source']}"
        )
    least, most = float(entry["least_gb"]), float(entry["most_gb"])
    near = 0.95 * least * _GB <= taken <= 1.05 * most * _GB
    return Truth(
        str(entry["claim"]),
        near,
        f"{title} at four bits with {CONTEXT_TOKENS} tokens takes {taken / _GB:.1f} GB"
        f" = {gib_text(taken)}",
        how,
    )


def _reserve(card: Card) -> Truth:
    row = next((row for row in known_cards() if row.title == card.name), None)
    driver = row.vram_bytes - row.usable_bytes if row else 0
    cuda = LLAMA_SERVER.context_overhead_bytes
    kept = driver + cuda + MARGIN_BYTES
    return Truth(
        "keep 1 to 2 GB in reserve",
        0.95 * _GB <= kept <= 2 * _GB,
        f"{kept / _GB:.2f} GB do on a card without a desktop, and every bill here holds them; "
        "a desktop takes 0.7 GB and more besides, which is seen in what is free",
        f"driver {driver // MIB} + CUDA {cuda // MIB} + margin {MARGIN_BYTES // MIB}"
        f" = {kept // MIB} MiB",
    )
