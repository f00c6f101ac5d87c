"""Which cards engines see, and in which order: the environment may hide some. Pure.

``CUDA_VISIBLE_DEVICES`` (CUDA C++ programming guide, "environment variables") is a list of indices
or of UUIDs, which may be cut short; what comes after the first that is none does not count.
Indices are those of NVML: engines are started with ``CUDA_DEVICE_ORDER=PCI_BUS_ID``.
``ROCR_VISIBLE_DEVICES`` hides AMD's cards from everything, ``HIP_VISIBLE_DEVICES`` some of the
rest, counted anew; HIP reads CUDA's variable where its own is not set (ROCm documentation, "GPU
isolation techniques").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from modeldeck.engines.hardware.types import GpuSnapshot, Mig

CUDA: Final = "CUDA_VISIBLE_DEVICES"
ROCR: Final = "ROCR_VISIBLE_DEVICES"
HIP: Final = "HIP_VISIBLE_DEVICES"
_AMD: Final = "amdgpu"


def visible(gpus: Sequence[GpuSnapshot], environ: Mapping[str, str]) -> tuple[int, ...] | None:
    """Numbers of the cards that engines see, in their order; None where nothing is hidden.

    Args:
        gpus: of this machine, in NVML's order, an instance after the card that it is part of.
        environ: that engines are started with.
    """
    if not any(name in environ for name in (CUDA, ROCR, HIP)):
        return None
    nvidia = [gpu for gpu in gpus if gpu.compute_capability is not None or gpu.uuid]
    amd = [gpu for gpu in gpus if gpu.driver == _AMD]
    others = [gpu for gpu in gpus if gpu not in nvidia and gpu not in amd]
    if CUDA in environ:
        nvidia = _of_cuda(nvidia, environ[CUDA])
    for said in (environ.get(ROCR), environ.get(HIP, environ.get(CUDA))):
        if said is not None:
            amd = _by_index(amd, said)
    return tuple(gpu.number for gpu in (*nvidia, *amd, *others))


def _of_cuda(gpus: Sequence[GpuSnapshot], said: str) -> list[GpuSnapshot]:
    whole = [gpu for gpu in gpus if gpu.mig is not Mig.INSTANCE]
    found: list[GpuSnapshot] = []
    for word in _words(said):
        named = whole[int(word) :][:1] if word.isdecimal() else _named(gpus, word)
        if len(named) != 1 or named[0] in found:
            break
        found += named
        if named[0].mig is Mig.PARENT:
            found += _instances(gpus, named[0])
    return found


def _named(gpus: Sequence[GpuSnapshot], word: str) -> list[GpuSnapshot]:
    """Those whose UUID begins so; CUDA takes a name that only one has."""
    prefix = word.lower()
    told = prefix.startswith(("gpu-", "mig-"))
    return [gpu for gpu in gpus if told and gpu.uuid.lower().startswith(prefix)]


def _instances(gpus: Sequence[GpuSnapshot], parent: GpuSnapshot) -> list[GpuSnapshot]:
    """The instances that follow their card."""
    found: list[GpuSnapshot] = []
    for gpu in gpus[gpus.index(parent) + 1 :]:
        if gpu.mig is not Mig.INSTANCE:
            break
        found.append(gpu)
    return found


def _by_index(gpus: Sequence[GpuSnapshot], said: str) -> list[GpuSnapshot]:
    """As ROCm counts; a card that is named by its UUID cannot be told here and stays."""
    found: list[GpuSnapshot] = []
    for word in _words(said):
        if word.lower().startswith("gpu-"):
            return list(gpus)
        if not word.isdecimal() or int(word) >= len(gpus) or gpus[int(word)] in found:
            break
        found.append(gpus[int(word)])
    return found


def _words(said: str) -> list[str]:
    return [word.strip() for word in said.split(",")]
