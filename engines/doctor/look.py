"""Gathers the facts: reads ``/proc`` and ``/sys``, starts nothing, and never raises."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from modeldeck.engines.choice import EngineStatus
from modeldeck.engines.doctor.cuda_builds import cuda_build
from modeldeck.engines.doctor.cuda_drivers import Cuda
from modeldeck.engines.doctor.types import Disk, Facts
from modeldeck.engines.hardware.types import HardwareSnapshot
from modeldeck.engines.text import clean_line

_NVIDIA = "0x10de"
_DISPLAY_CLASSES = ("0x0300", "0x0302")
_TEXT = 4096


def facts_now(
    *,
    hardware: HardwareSnapshot,
    engines: Sequence[EngineStatus],
    places: Iterable[Path],
    data: Path,
    environ: Mapping[str, str],
    encoding: str,
    settings_problems: Sequence[str] = (),
    root: Path = Path("/"),
) -> Facts:
    """What there is to know of this machine.

    Args:
        hardware: cards and host.
        engines: every engine, asked.
        places: folders that models are looked for in; those that are not there are left out.
        data: the folder of what is kept.
        environ: the user's environment.
        encoding: of standard output.
        settings_problems: what is wrong with the settings.
        root: where ``proc`` and ``sys`` lie.
    """
    return Facts(
        hardware=hardware,
        engines=tuple(engines),
        environ=dict(environ),
        encoding=encoding,
        nvidia_on_the_bus=_nvidia_on_the_bus(root),
        nvidia_module=(root / "proc/driver/nvidia").is_dir(),
        nouveau_module=(root / "sys/module/nouveau").is_dir(),
        in_container=any((root / name).exists() for name in (".dockerenv", "run/.containerenv")),
        swap_used_bytes=_swap_used_bytes(),
        cpu_governor=_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        cpu_flags=_cpu_flags(root),
        machine=platform.machine(),
        cpu_quota=_cpu_quota(root),
        models=tuple(_disk(path, root) for path in places if path.is_dir()),
        data=_disk(data, root, write=True) if data.exists() else None,
        inotify_watches=_number(root / "proc/sys/fs/inotify/max_user_watches"),
        settings_problems=tuple(settings_problems),
        own_pids=_own_pids(),
        cuda_builds=_cuda_builds(engines),
        wsl=_is_wsl(root),
    )


def _cuda_builds(engines: Iterable[EngineStatus]) -> dict[str, Cuda]:
    found = {engine.info.name: cuda_build(engine) for engine in engines}
    return {name: cuda for name, cuda in found.items() if cuda is not None}


def _is_wsl(root: Path) -> bool:
    return "microsoft" in (_text(root / "proc/sys/kernel/osrelease") or "").lower()


def _own_pids() -> frozenset[int]:
    try:
        own = psutil.Process()
        return frozenset({own.pid, *(child.pid for child in own.children(recursive=True))})
    except psutil.Error:
        return frozenset({os.getpid()})


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return clean_line(file.read(_TEXT).decode("utf-8", "replace"), _TEXT) or None
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.isdecimal() else None


def _nvidia_on_the_bus(root: Path) -> bool | None:
    devices = root / "sys/bus/pci/devices"
    try:
        folders = list(devices.iterdir())
    except OSError:
        return None
    return any(
        _text(folder / "vendor") == _NVIDIA
        and (_text(folder / "class") or "").startswith(_DISPLAY_CLASSES)
        for folder in folders
    )


def _swap_used_bytes() -> int | None:
    try:
        return psutil.swap_memory().used
    except (OSError, RuntimeError):
        return None


def _cpu_flags(root: Path) -> frozenset[str]:
    try:
        with (root / "proc/cpuinfo").open(encoding="ascii", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(flags.partition(":")[2].split())


def _cpu_quota(root: Path) -> float | None:
    """``cpu.max`` of the control group (version 2): microseconds in a period."""
    words = (_text(root / "sys/fs/cgroup/cpu.max") or "").split()
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
        return int(words[0]) / int(words[1])
    return None


def _disk(path: Path, root: Path, *, write: bool = False) -> Disk:
    wanted = os.R_OK | os.X_OK | (os.W_OK if write else 0)
    free_bytes = None
    with contextlib.suppress(OSError):
        free_bytes = psutil.disk_usage(str(path)).free
    device, filesystem = _mount_of(path)
    return Disk(path, filesystem, free_bytes, _rotational(device, root), os.access(path, wanted))


def _mount_of(path: Path) -> tuple[str, str | None]:
    """Device and file system of the mount that ``path`` lies on."""
    try:
        real = path.resolve()
        mounts = psutil.disk_partitions(all=True)
    except (OSError, RuntimeError):
        return "", None
    over = [mount for mount in mounts if real.is_relative_to(mount.mountpoint)]
    if not over:
        return "", None
    nearest = max(over, key=lambda mount: len(mount.mountpoint))
    return nearest.device, clean_line(nearest.fstype, 40) or None


def _rotational(device: str, root: Path) -> bool | None:
    """Whether the disk of a partition spins; None for what is no disk of this machine."""
    name = Path(device).name
    for folder in (
        root / "sys/class/block" / name,
        (root / "sys/class/block" / name).resolve().parent,
    ):
        if (value := _text(folder / "queue/rotational")) is not None:
            return value == "1"
    return None
