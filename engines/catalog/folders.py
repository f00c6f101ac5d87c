"""Which folders are one model, told by the names in them. Pure.

A model as Hugging Face publishes it is a folder with ``config.json`` and weights: one file of
safetensors, or several numbered ones. Weights in pickles are known too, so that they can be listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

CONFIG: Final = "config.json"
INDEX: Final = "model.safetensors.index.json"
TOKENIZER: Final = "tokenizer_config.json"
TEMPLATE: Final = "chat_template.jinja"
PIPELINE: Final = "model_index.json"
"""What a folder of diffusers has: the folders in it are parts of one pipeline."""

ADAPTER: Final = "adapter_config.json"
OWN_FILES: Final = (
    "quantize_config.json",
    "quantization_config.json",
    "quant_config.json",
    "hf_quant_config.json",
)
"""Files in which tools say how they quantised: AutoGPTQ, ExLlama, AutoAWQ, ModelOpt."""

PAPERS: Final = frozenset({CONFIG, INDEX, TOKENIZER, TEMPLATE, ADAPTER, *OWN_FILES})
"""What describes weights and holds none."""

MAX_FILES: Final = 4096
"""Files of weights in one folder; real models have some 200 at most."""

_WEIGHTS: Final = ".safetensors"
_WHOLE: Final = "model.safetensors"
_PICKLES: Final = (".bin", ".pt", ".pth")
_PICKLE: Final = re.compile(
    r"(?:pytorch_model|model|consolidated)[-.\w]*\.(?:bin|pt|pth)", re.ASCII
)
_PART: Final = re.compile(
    r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.(?:safetensors|bin)", re.ASCII | re.DOTALL
)
_NO_MODEL: Final = ("adapter_", "diffusion_", "optimizer", "scheduler", "._")


class Contents(NamedTuple):
    """What matters of a folder that is a model.

    Attributes:
        weights: names of the files with weights, sorted; never empty.
        papers: names of what describes them, sorted.
        missing: numbers of the parts that are not there.
        parts: how many parts there should be.
        pickles: the weights are pickles.
        companion: it goes with a model and is none.
    """

    weights: tuple[str, ...]
    papers: tuple[str, ...]
    missing: tuple[int, ...] = ()
    parts: int = 1
    pickles: bool = False
    companion: bool = False


def contents_of(names: Iterable[str]) -> Contents | None:
    """What a folder with these names is; None when it is no model. At most ``MAX_FILES`` count."""
    papers: list[str] = []
    weights: list[str] = []
    pickles: list[str] = []
    others: list[str] = []
    for name in names:
        if name in PAPERS:
            papers.append(name)
        elif name.endswith(_WEIGHTS):
            kind = others if name.startswith(_NO_MODEL) else weights
            if len(kind) < MAX_FILES:
                kind.append(name)
        elif name.endswith(_PICKLES) and _PICKLE.fullmatch(name) and len(pickles) < MAX_FILES:
            pickles.append(name)
    described = tuple(sorted(papers))
    if ADAPTER in papers and (weights or others):
        return Contents(tuple(sorted(weights or others)), described, companion=True)
    if CONFIG not in papers:
        return None
    if weights:
        return _model(weights, described, pickles=False)
    if others:
        return Contents(tuple(sorted(others)), described, companion=True)
    return _model(pickles, described, pickles=True) if pickles else None


def _model(names: Sequence[str], papers: tuple[str, ...], *, pickles: bool) -> Contents:
    """Of the weights those that are loaded: the whole file, else the parts, else whatever is there.

    Repositories keep the same weights twice, in other names (``consolidated.safetensors``).
    """
    if _WHOLE in names:
        return Contents((_WHOLE,), papers)
    groups: dict[tuple[str, int], dict[int, str]] = {}
    for name in names:
        if (part := _PART.fullmatch(name)) is not None:
            number, count = int(part["number"]), int(part["count"])
            if 1 <= number <= count <= MAX_FILES:
                groups.setdefault((part["stem"], count), {})[number] = name
    if not groups:
        return Contents(tuple(sorted(names)), papers, pickles=pickles)
    (_, count), parts = max(groups.items(), key=lambda group: (len(group[1]), group[0]))
    present = tuple(parts[number] for number in sorted(parts))
    missing = tuple(number for number in range(1, count + 1) if number not in parts)
    return Contents(present, papers, missing, count, pickles=pickles)
