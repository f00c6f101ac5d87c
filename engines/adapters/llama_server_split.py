"""One card of several, or a model spread over them, as llama.cpp's server is told.

Cards are counted in PCI's order, as NVML counts them: engines are started so (``process.py``), and
a command that is typed says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from modeldeck.engines.types import Plan

COUNTED: Final = ("env", "CUDA_DEVICE_ORDER=PCI_BUS_ID")
"""What stands before a command that is typed; CUDA's own order begins with the fastest card."""

_MOST_DEVICES: Final = 128


def split_words(plan: Plan) -> Iterator[str]:
    """The words for a ``llama-server``; none without a split."""
    split = plan.split
    if split is None or not plan.gpu_layers:
        return
    yield from ("--split-mode", split.mode)
    if split.mode == "none":
        yield from ("--main-gpu", str(split.card))
    else:
        yield from ("--tensor-split", ",".join(map(str, split.shares)))


def split_settings(plan: Plan) -> Mapping[str, object]:
    """The same as attributes of ``xllamacpp.CommonParams``."""
    split = plan.split
    if split is None or not plan.gpu_layers:
        return {}
    name = f"LLAMA_SPLIT_MODE_{split.mode.upper()}"
    mode = {"split_mode": {"enum": "llama_split_mode", "name": name}}
    if split.mode == "none":
        return {**mode, "main_gpu": split.card}
    rest = [0.0] * (_MOST_DEVICES - len(split.shares))
    return {**mode, "tensor_split": [*map(float, split.shares), *rest]}
