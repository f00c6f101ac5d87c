"""What an engine says that it allocated while it loaded a model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

BufferKind = Literal[
    "weights", "kv", "recurrent", "compute", "output", "lora", "projector", "draft"
]

_HOST: Final = re.compile(r"(?:CPU|AMX|BLAS|HBM|KLEIDIAI|KURN)(?:_\w+)?|\w+_Host", re.IGNORECASE)


class Buffer(NamedTuple):
    """Memory of one kind on one device.

    Attributes:
        device: in the engine's words: ``CUDA0``, ``CPU_Mapped``, ``CUDA_Host``.
        kind: what it holds; ``output`` are logits, ``projector`` what encoding an image takes,
            ``draft`` all that what drafts takes.
        size_bytes: as the engine printed it, so to its own rounding (llama.cpp: 0.01 MiB).
    """

    device: str
    kind: BufferKind
    size_bytes: int

    @property
    def on_host(self) -> bool:
        """It is in the host's memory: of the processor, or pinned for a card (``CUDA_Host``)."""
        return _HOST.fullmatch(self.device) is not None


def gpu_devices(buffers: Iterable[Buffer]) -> tuple[str, ...]:
    """The devices other than the host that hold something, each once, in the order they came."""
    return tuple(dict.fromkeys(one.device for one in buffers if not one.on_host))


def total_bytes(buffers: Iterable[Buffer], *kinds: BufferKind, on_host: bool) -> int:
    """Everything of these kinds (of any, when none is named) on one side of the bus."""
    return sum(
        one.size_bytes
        for one in buffers
        if one.on_host == on_host and (not kinds or one.kind in kinds)
    )
