"""Gathers the facts: reads ``/proc`` and ``/sys``, starts nothing, and never raises."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from modeldeck.engines.choice import EngineStatus
from modeldeck.engines.doctor.cuda_builds import cuda_build
from modeldeck.engines.doctor.cuda_drivers import Cuda
from modeldeck.engines.doctor.types import Disk, Facts
from modeldeck.engines.hardware.groups import group_cores
from modeldeck.engines.hardware.proc import mounts, swap_used_bytes
from modeldeck.engines.hardware.types import HardwareSnapshot
from modeldeck.engines.paths import is_folder
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
    unreadable: tuple[int, Sequence[Path]] = (0, ()),
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
        unreadable: how many folders of the places may not be read, and the first of them.
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
        swap_used_bytes=swap_used_bytes(root / "proc"),
        cpu_governor=_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        cpu_flags=_cpu_flags(root),
        machine=platform.machine(),
        cpu_quota=_cpu_quota(root),
        models=tuple(_disk(path, root) for path in places if is_folder(path)),
        unreadable=tuple(unreadable[1]),
        unreadable_count=unreadable[0],
        data=_disk(data, root, write=True) if is_folder(data) is not False else None,
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
    return clean_line(_lines(path), _TEXT) or None


def _lines(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_TEXT).decode("utf-8", "replace")
    except OSError:
        return ""


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


def _cpu_flags(root: Path) -> frozenset[str]:
    try:
        with (root / "proc/cpuinfo").open(encoding="ascii", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(flags.partition(":")[2].split())


def _cpu_quota(root: Path) -> float | None:
    return group_cores(_lines(root / "proc/self/cgroup"), root / "sys/fs/cgroup")


def _disk(path: Path, root: Path, *, write: bool = False) -> Disk:
    wanted = os.R_OK | os.X_OK | (os.W_OK if write else 0)
    free_bytes = None
    with contextlib.suppress(OSError):
        free_bytes = shutil.disk_usage(path).free
    device, filesystem = _mount_of(path, root)
    allowed = os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids)
    return Disk(path, filesystem, free_bytes, _rotational(device, root), allowed)


def _mount_of(path: Path, root: Path) -> tuple[str, str | None]:
    """Device and file system of the mount that ``path`` lies on."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        return "", None
    over = [mount for mount in mounts(root / "proc") if real.is_relative_to(mount.folder)]
    if not over:
        return "", None
    # What was mounted last lies over what was mounted at the same folder before.
    nearest = max(reversed(over), key=lambda mount: len(mount.folder.parts))
    return nearest.device, clean_line(nearest.filesystem, 40) or None


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
