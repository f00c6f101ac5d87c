"""The options of a load as the text they are kept as, and back. Pure.

What a later version has added is left out here, and what this version does not understand is as if
it were not given: kept options outlive the program that kept them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, cast, get_args

from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.types import Draft, KvType, Split, SplitMode
from modeldeck.engines.units import tokens_text

_COUNTS: Final = ("context_tokens", "micro_batch_tokens", "slots", "gpu_layers", "cpu_moe_blocks")
_SWITCHES: Final = ("flash_attention", "swa_full")
_MOST: Final = 1 << 31


def to_text(options: FitOptions) -> str:
    """What is given, as JSON; the engine and the margin are not part of it."""
    said: dict[str, object] = {
        name: value
        for name in (*_COUNTS, *_SWITCHES, "kv_type")
        if (value := getattr(options, name)) is not None
    }
    if options.draft is not None:
        said["draft"] = options.draft._asdict()
    if options.adapters:
        said["adapters"] = list(options.adapters)
    if options.split is not None:
        said["split"] = {"mode": options.split.mode, "shares": list(options.split.shares)}
    return json.dumps(said, sort_keys=True)


def from_text(text: str) -> FitOptions:
    """What ``to_text`` wrote, as far as it can be understood."""
    try:
        read: object = json.loads(text)
    except ValueError:
        return FitOptions()
    said = _table(read)
    kinds = [kind for kind in get_args(KvType) if kind == said.get("kv_type")]
    return FitOptions(
        context_tokens=_count(said.get("context_tokens")) or None,
        kv_type=kinds[0] if kinds else None,
        micro_batch_tokens=_count(said.get("micro_batch_tokens")) or None,
        slots=_count(said.get("slots")) or None,
        gpu_layers=_count(said.get("gpu_layers")),
        cpu_moe_blocks=_count(said.get("cpu_moe_blocks")),
        flash_attention=_switch(said.get("flash_attention")),
        swa_full=_switch(said.get("swa_full")),
        draft=_draft(_table(said.get("draft"))),
        adapters=tuple(path for path in _list(said.get("adapters")) if isinstance(path, str)),
        split=_split(_table(said.get("split"))),
    )


def summary(options: FitOptions) -> str:
    """What is given, in a few words: ``ctx 16k, kv q8_0, 20 on GPU``; empty when nothing is."""
    words: list[str] = []
    if options.context_tokens is not None:
        words.append(f"ctx {tokens_text(options.context_tokens)}")
    if options.kv_type is not None:
        words.append(f"kv {options.kv_type}")
    if options.gpu_layers is not None:
        words.append(f"ngl {options.gpu_layers}")
    if options.cpu_moe_blocks:
        words.append(f"experts of {options.cpu_moe_blocks} on CPU")
    if options.micro_batch_tokens is not None:
        words.append(f"micro-batch {options.micro_batch_tokens}")
    if options.slots is not None:
        words.append(f"{options.slots} slot{'s' if options.slots > 1 else ''}")
    if options.flash_attention is not None:
        words.append(f"flash attention {'on' if options.flash_attention else 'off'}")
    if options.swa_full:
        words.append("full window")
    if options.draft is not None:
        words.append("a draft")
    if options.adapters:
        words.append(f"{len(options.adapters)} adapter{'s' if len(options.adapters) > 1 else ''}")
    if options.split is not None:
        words.append(
            "one card" if options.split.mode == "none" else f"split by {options.split.mode}"
        )
    return ", ".join(words)


def _table(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _count(value: object) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST
    return value if fits and isinstance(value, int) else None


def _switch(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _draft(said: Mapping[str, object]) -> Draft | None:
    model, tokens = said.get("model"), _count(said.get("tokens"))
    return Draft(model, tokens) if isinstance(model, str) and tokens else None


def _split(said: Mapping[str, object]) -> Split | None:
    modes = [mode for mode in get_args(SplitMode) if mode == said.get("mode")]
    shares = [_count(one) for one in _list(said.get("shares"))]
    known = tuple(one for one in shares if one is not None)
    if not modes or not any(known) or len(known) < len(shares):
        return None
    return Split(modes[0], known)
