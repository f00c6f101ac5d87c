"""The checks of what engines were built for, against the cards and the driver here. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from modeldeck.engines.choice import EngineStatus
from modeldeck.engines.doctor.cuda_drivers import Cuda, is_older, needed_driver
from modeldeck.engines.doctor.types import Facts, Found, Severity

_FOR_CUDA: Final = (
    "Build llama.cpp with CUDA and put its llama-server on PATH, or:"
    " CMAKE_ARGS=-DGGML_CUDA=on pip install 'modeldeck[llama-cpp]'"
)
_FOR_AMD: Final = (
    "Build llama.cpp with HIP or Vulkan and put its llama-server on PATH, or:"
    " CMAKE_ARGS=-DGGML_VULKAN=on pip install 'modeldeck[llama-cpp]'"
)
_NEWER_DRIVER: Final = (
    "Update the NVIDIA driver: https://www.nvidia.com/drivers, or with the packages of your system."
)


def engine_build(facts: Facts) -> Iterator[Found]:
    """A card that no engine here can use, or a build that the driver is too old for."""
    usable = [engine for engine in facts.engines if engine.available]
    found = [finding for engine in usable for finding in _driver_for(facts, engine)]
    yield from found
    told = any(severity is Severity.ERROR for severity, _, _ in found)
    if facts.hardware.gpus and usable and not told and not any(one.has_gpu for one in usable):
        names = ", ".join(engine.info.name for engine in usable)
        made = next((one for one in usable if one.info.name in facts.cuda_builds), None)
        card = facts.hardware.gpus[0].name
        if made is not None and made.probe is not None:
            yield (
                Severity.WARNING,
                f"{card} is here; {made.info.name} was built with CUDA"
                f" {facts.cuda_builds[made.info.name]} and does not see it.",
                "Look whether CUDA_VISIBLE_DEVICES hides it, and run by hand to see why:"
                f" {made.probe.where}",
            )
        else:
            yield (
                Severity.WARNING,
                f"{card} is here, and no engine can use it: {names} is a build for the CPU.",
                _FOR_AMD if facts.hardware.gpus[0].driver == "amdgpu" else _FOR_CUDA,
            )


def _driver_for(facts: Facts, engine: EngineStatus) -> Iterator[Found]:
    """A build that tells its CUDA, beside a driver that is older than that needs."""
    cuda = facts.cuda_builds.get(engine.info.name)
    gpu = next((gpu for gpu in facts.hardware.gpus if gpu.cuda or gpu.compute_capability), None)
    if cuda is None or gpu is None:
        return
    needed = needed_driver(cuda, windows=facts.wsl)
    built, driver = f"{engine.info.name} was built with CUDA {cuda}", gpu.driver or ""
    if engine.has_gpu:
        # It runs, by a compatibility package where the driver is older than the whole family.
        if is_older(driver, needed.in_full):
            yield (
                Severity.ADVICE,
                f"{built}, whose own driver is {needed.in_full}; here is {driver}: what is compiled"
                " at the start for this card may fail.",
                _NEWER_DRIVER,
            )
    elif needed.at_all and is_older(driver, needed.at_all):
        yield (
            Severity.ERROR,
            f"{built} and needs driver {needed.at_all} or newer; here is {driver}.",
            f"{_NEWER_DRIVER} Or install a build for CUDA {_newest(gpu.cuda)}.",
        )
    elif not needed.at_all and _beyond(cuda, gpu.cuda):
        yield (
            Severity.ERROR,
            f"{built}, and the driver runs {gpu.cuda} at most.",
            f"{_NEWER_DRIVER} Or install a build for CUDA {_newest(gpu.cuda)}.",
        )


def _beyond(cuda: Cuda, newest: str | None) -> bool:
    major = (newest or "").partition(".")[0]
    return major.isdecimal() and cuda.major > int(major)


def _newest(cuda: str | None) -> str:
    return f"{cuda} or older" if cuda else "that the driver runs"
