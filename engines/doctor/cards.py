"""The checks of the cards and of what runs on them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from modeldeck.engines.doctor.types import Facts, Found, Severity
from modeldeck.engines.hardware.types import Mig
from modeldeck.engines.hardware.visible import CUDA, HIP, ROCR
from modeldeck.engines.units import gib_text

_GIB: Final = 1 << 30
_MUCH_VRAM_BYTES: Final = _GIB
_HOT_CELSIUS: Final = 87
_NEAR_LIMIT: Final = 0.97
_BUSY_PERCENT: Final = 20
_HELD_DOWN: Final[Mapping[str, str]] = {
    "heat": "Clean its fans and filters, or lower its power: nvidia-smi -pl WATTS",
    "heat, in hardware": "Clean its fans and filters, or lower its power: nvidia-smi -pl WATTS",
    "a hardware slowdown": "Look for the reason: nvidia-smi -q -d PERFORMANCE",
    "the power supply": "Check the card's power cables and what the power supply can give.",
    "the board's limit": "Look at what its power cables give: nvidia-smi -q -d POWER,PERFORMANCE",
    "the reliability voltage": "That is normal at the highest clocks; undo what overclocks it.",
}
_NORMAL: Final = ("the reliability voltage",)


def driver(facts: Facts) -> Iterator[Found]:
    """No card, or an NVIDIA card without a driver that works."""
    if not facts.hardware.gpus and facts.nvidia_on_the_bus is False:
        yield (
            Severity.ADVICE,
            "No NVIDIA card was found: models run on the processor.",
            "Small models do well there; the list's verdicts are for a card you might have.",
        )
    if facts.hardware.gpus or not facts.nvidia_on_the_bus:
        return
    if facts.nouveau_module:
        yield (
            Severity.ERROR,
            "There is an NVIDIA card, and the driver in use is nouveau, which cannot compute.",
            "Install NVIDIA's driver, then restart. Debian and Ubuntu: apt install nvidia-driver",
        )
    elif facts.in_container and facts.nvidia_module:
        yield (
            Severity.ERROR,
            "There is an NVIDIA card, and this container was started without it.",
            "Start it with: docker run --gpus all, or with the nvidia runtime.",
        )
    elif facts.nvidia_module:
        yield (
            Severity.ERROR,
            f"The NVIDIA driver is loaded and does not answer. {facts.hardware.gpu_note}".strip(),
            "Run nvidia-smi; if it names a version mismatch, restart the machine.",
        )
    else:
        yield (
            Severity.ERROR,
            "There is an NVIDIA card, and no driver for it is loaded.",
            "Install NVIDIA's driver, then restart. Debian and Ubuntu: apt install nvidia-driver",
        )


def hidden(facts: Facts) -> Iterator[Found]:
    """Cards that are here and that the environment hides from engines."""
    every = facts.hardware._replace(visible=None).runners
    seen = facts.hardware.runners
    set_here = " and ".join(name for name in (CUDA, ROCR, HIP) if name in facts.environ)
    if not set_here or len(seen) == len(every):
        return
    if not seen:
        yield (
            Severity.WARNING,
            f"{set_here} hides every card: engines run on the processor.",
            f"unset {set_here.replace(' and', '')}, then start the deck again.",
        )
    else:
        yield (
            Severity.ADVICE,
            f"{set_here}: engines see {len(seen)} of {len(every)} cards: verdicts are for those.",
            f"unset {set_here.replace(' and', '')}, then start the deck again.",
        )


def other_processes(facts: Facts) -> Iterator[Found]:
    """Somebody else holds much of the card. What an instance holds, its parent lists as well."""
    for gpu in (one for one in facts.hardware.gpus if one.mig is not Mig.PARENT):
        for process in gpu.processes or ():
            others = process.deck is None and process.pid not in facts.own_pids
            if others and (process.used_bytes or 0) >= _MUCH_VRAM_BYTES:
                name = process.name or "a process"
                yield (
                    Severity.WARNING,
                    f"{name} (pid {process.pid}) holds {gib_text(process.used_bytes or 0)} of"
                    f" {gpu.name}.",
                    f"Close it when it is not needed; see what it is: ps -fp {process.pid}",
                )


def heat(facts: Facts) -> Iterator[Found]:
    """A card at its limits."""
    for gpu in facts.hardware.gpus:
        if (gpu.temperature_celsius or 0) >= _HOT_CELSIUS:
            yield (
                Severity.WARNING,
                f"{gpu.name} is at {gpu.temperature_celsius} °C and slows itself down.",
                "Clean its fans and filters, or lower its power: nvidia-smi -pl WATTS",
            )
        for reason in gpu.throttled_by or ():
            if reason in _HELD_DOWN:
                severity = Severity.ADVICE if reason in _NORMAL else Severity.WARNING
                yield severity, f"{gpu.name} is held down by {reason}.", _HELD_DOWN[reason]
        limit, power = gpu.power_limit_watts, gpu.power_watts
        if limit and power and power >= limit * _NEAR_LIMIT:
            yield (
                Severity.ADVICE,
                f"{gpu.name} draws {power:.0f} W, all that its limit of {limit:.0f} W allows.",
                "That is normal under load; nvidia-smi -q -d POWER shows whether it may have more.",
            )


def link(facts: Facts) -> Iterator[Found]:
    """A busy card whose link to the host is narrower or slower than it could be."""
    for gpu in facts.hardware.gpus:
        pcie = gpu.pcie
        if pcie is None or (gpu.utilisation_percent or 0) < _BUSY_PERCENT:
            continue  # an idle card lets its link fall
        if pcie.width and pcie.width_max and pcie.width < pcie.width_max:
            yield (
                Severity.WARNING,
                f"{gpu.name} has {pcie.width} of {pcie.width_max} PCIe lanes: what streams from"
                " memory is slower.",
                "Put it into the slot nearest the processor, and look at the slot's other users.",
            )
        if pcie.generation and pcie.generation_max and pcie.generation < pcie.generation_max:
            yield (
                Severity.ADVICE,
                f"{gpu.name} is linked at PCIe {pcie.generation} instead of {pcie.generation_max}.",
                "Look at the slot's speed in the firmware's settings, and at a riser cable.",
            )


def instances(facts: Facts) -> Iterator[Found]:
    """A card that is cut up, and has no instance to run on."""
    gpus = facts.hardware.gpus
    if any(gpu.mig is Mig.PARENT for gpu in gpus) and not any(
        gpu.mig is Mig.INSTANCE for gpu in gpus
    ):
        name = next(gpu.name for gpu in gpus if gpu.mig is Mig.PARENT)
        yield (
            Severity.ERROR,
            f"{name} is in MIG mode and has no instance: nothing can run on it.",
            "Make one: nvidia-smi mig -cgi 0 -C, or leave the mode: nvidia-smi -mig 0",
        )


def sleep(facts: Facts) -> Iterator[Found]:
    """A card that the driver lets go whenever nobody uses it."""
    idle = [gpu for gpu in facts.hardware.gpus if gpu.persistent is False and not gpu.processes]
    if idle:
        yield (
            Severity.ADVICE,
            f"Persistence mode of {idle[0].name} is off: the driver lets it go when no program"
            " holds it, and the next load waits seconds for it.",
            "As root: nvidia-smi -pm 1, or systemctl enable --now nvidia-persistenced",
        )


def windows(facts: Facts) -> Iterator[Found]:
    """Linux inside Windows, where the driver says less."""
    if facts.wsl and facts.hardware.gpus:
        yield (
            Severity.ADVICE,
            "This is WSL: its driver does not say which process holds how much of the card.",
            "See them in Windows: Task Manager, Details, column Dedicated GPU memory.",
        )
