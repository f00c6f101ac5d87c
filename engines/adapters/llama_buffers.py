"""The buffers that llama.cpp names in its log while it loads. Pure.

The lines, from ``llama-model.cpp``, ``llama-kv-cache.cpp``, ``llama-memory-recurrent.cpp``,
``llama-context.cpp``, ``llama-adapter.cpp`` and ``clip.cpp`` (old builds leave out "model")::

    load_tensors:   CPU_Mapped model buffer size =   308.23 MiB
    llama_kv_cache:      CUDA0 KV buffer size =   448.00 MiB
    llama_memory_recurrent:      CUDA0 RS buffer size =    62.81 MiB
    llama_context:  CUDA_Host  output buffer size =     0.58 MiB
    sched_reserve:      CUDA0 compute buffer size =   300.75 MiB
    llama_adapter_lora_init_impl:      CUDA0 LoRA buffer size =   160.00 MiB
    clip_ctx: CLIP using CUDA0 backend
    load_hparams: model size:         819.63 MiB
    alloc_compute_meta:      CUDA0 compute buffer size =   102.80 MiB
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Final

from modeldeck.engines.buffers import Buffer, BufferKind
from modeldeck.engines.units import MIB

# The server's clock and level (0.00.016.895 I), and its short name (srv).
_LEAD: Final = r"(?:[0-9.]{1,24} [A-Z] )?(?:[a-z]{2,5} +)?"
_DEVICE: Final = r"(?P<device>[A-Za-z][\w.:\[\]]{0,60})"
_MIB: Final = r"(?P<mib>[0-9]{1,9}\.[0-9]{1,4}) MiB"
_BUFFER: Final = re.compile(
    rf"{_LEAD}(?P<function>[a-z]\w{{0,60}}): +{_DEVICE} +"
    r"(?:(?P<what>model|KV|RS|compute|output|LoRA|DSV4 \w{1,20} state) +)?"
    rf"buffer size += +{_MIB}"
)
_PROJECTOR_ON: Final = re.compile(rf"{_LEAD}clip_ctx: CLIP using {_DEVICE} backend")
_PROJECTOR_SIZE: Final = re.compile(rf"{_LEAD}load_hparams: model size: +{_MIB}")
_PROJECTOR_GRAPH: Final = frozenset({"alloc_compute_meta", "reserve_compute_meta"})
_KINDS: Final[Mapping[str | None, BufferKind]] = {
    None: "weights",
    "model": "weights",
    "KV": "kv",
    "RS": "recurrent",
    "compute": "compute",
    "output": "output",
    "LoRA": "lora",
}
_REPLACED: Final = frozenset({"compute", "output"})
"""A device has one of these: reserving it again replaces what was there."""

_DRAFTS: Final = re.compile(
    rf"{_LEAD}\S{{1,60}}: (?:loading draft model|creating MTP draft context)\b.*"
)
"""From here on it is what drafts that is loaded, until the log ends or the slots begin."""

_TEMPLATE: Final = "example_format:"
"""From here on the log holds text made by the model's chat template, which can say anything."""

_MOST_BUFFERS: Final = 256


def buffers_of(lines: Iterable[str]) -> tuple[Buffer, ...]:
    """What the log of one load says, summed by device and kind, in the order it came.

    Nothing that a model's file says can be taken for a buffer: its metadata never begin a line,
    and what its chat template makes is not read. More than 256 devices are no load of this world.
    """
    found: dict[tuple[str, BufferKind], int] = {}
    graphs: dict[str, int] = {}
    drafts: dict[tuple[str, BufferKind], int] | None = None
    projector_on = "CPU"
    for line in itertools.takewhile(lambda line: _TEMPLATE not in line, lines):
        text = line.strip()
        if on := _PROJECTOR_ON.fullmatch(text):
            projector_on = on["device"]
        elif size := _PROJECTOR_SIZE.fullmatch(text):
            _add(found, projector_on, "projector", size)
        elif _DRAFTS.fullmatch(text):
            drafts = {}
        elif (buffer := _BUFFER.fullmatch(text)) is None:
            continue
        elif buffer["function"] in _PROJECTOR_GRAPH:
            graphs[buffer["device"]] = _bytes(buffer)
        else:
            kind = _KINDS.get(buffer["what"], "recurrent")
            _add(found if drafts is None else drafts, buffer["device"], kind, buffer)
    for (device, _), size_bytes in (drafts or {}).items():
        found[device, "draft"] = found.get((device, "draft"), 0) + size_bytes
    for device, size_bytes in graphs.items():
        found[device, "projector"] = found.get((device, "projector"), 0) + size_bytes
    buffers = (Buffer(device, kind, size) for (device, kind), size in found.items())
    return tuple(itertools.islice(buffers, _MOST_BUFFERS))


def _add(
    found: dict[tuple[str, BufferKind], int], device: str, kind: BufferKind, said: re.Match[str]
) -> None:
    before = 0 if kind in _REPLACED else found.get((device, kind), 0)
    found[device, kind] = before + _bytes(said)


def _bytes(said: re.Match[str]) -> int:
    return round(float(said["mib"]) * MIB)
