"""What the doctor looks at and what it finds: frozen records. None means that nobody can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from modeldeck.engines.choice import EngineStatus
from modeldeck.engines.doctor.cuda_drivers import Cuda
from modeldeck.engines.hardware.types import HardwareSnapshot


class Severity(StrEnum):
    """How bad it is: something fails, something is worse than it could be, or good to know."""

    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


Found = tuple[Severity, str, str]
"""What a check finds: how bad it is, the cause, the next step."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        check: name of the check, stable.
        severity: how bad it is.
        cause: one sentence.
        next_step: one sentence, with the command to type where there is one.
    """

    check: str
    severity: Severity
    cause: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Disk:
    """Where models or what is kept lie.

    Attributes:
        path: the folder.
        filesystem: as the kernel calls it: ``ext4``, ``nfs4``, ``fuse.sshfs``.
        free_bytes: for us.
        rotational: a spinning disk.
        readable: we may list it.
    """

    path: Path
    filesystem: str | None = None
    free_bytes: int | None = None
    rotational: bool | None = None
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the checks need, gathered at one moment.

    Attributes:
        hardware: cards and host.
        engines: every engine and what it said when asked.
        environ: the user's environment.
        encoding: of standard output.
        nvidia_on_the_bus: an NVIDIA card is on the PCI bus.
        nvidia_module: the NVIDIA kernel module is loaded.
        nouveau_module: the free driver, which cannot compute, is loaded.
        in_container: we run in a container.
        swap_used_bytes: of the machine.
        cpu_governor: of the first core.
        cpu_flags: the processor's features; empty when unknown.
        machine: the processor's architecture: ``x86_64``.
        cpu_quota: cores the control group lets us use; None without a limit.
        models: the folders that models are looked for in.
        unreadable: folders below those that may not be read, the first of them.
        unreadable_count: how many there are.
        data: the folder of what is kept.
        inotify_watches: how many folders a user may watch.
        settings_problems: what is wrong with the settings.
        own_pids: the deck and its engines.
        cuda_builds: of each engine that tells, the CUDA it was built with.
        wsl: this is Linux inside Windows, with a driver of Windows.
    """

    hardware: HardwareSnapshot
    engines: tuple[EngineStatus, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    encoding: str = "utf-8"
    nvidia_on_the_bus: bool | None = None
    nvidia_module: bool = False
    nouveau_module: bool = False
    in_container: bool = False
    swap_used_bytes: int | None = None
    cpu_governor: str | None = None
    cpu_flags: frozenset[str] = frozenset()
    machine: str = ""
    cpu_quota: float | None = None
    models: tuple[Disk, ...] = ()
    unreadable: tuple[Path, ...] = ()
    unreadable_count: int = 0
    data: Disk | None = None
    inotify_watches: int | None = None
    settings_problems: tuple[str, ...] = ()
    own_pids: frozenset[int] = frozenset()
    cuda_builds: Mapping[str, Cuda] = field(default_factory=dict[str, Cuda])
    wsl: bool = False
