"""Which CUDA an engine was built with, as its package tells: by its version or by its files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from modeldeck.engines.choice import EngineStatus
from modeldeck.engines.doctor.cuda_drivers import Cuda

_MOST_NAMES: Final = 20_000
# "0.3.4+cu124", "cu118", "CUDA 12.8", "cuda-12-1".
_SAID: Final = re.compile(r"(?i)(?<![a-z0-9])cu(?:da)?[-_ ]?v?(1[0-9])[._-]?([0-9])(?![0-9])")
_MAJOR_SAID: Final = re.compile(r"(?i)(?<![a-z0-9])cu(?:da)?[-_ ]?v?(1[0-9])(?![0-9._-]?[0-9])")
# "libcudart.so.12.4.127", "libcudart-5a1c.so.12", "cudart64_12.dll".
_LIBRARY: Final = re.compile(r"(?:lib)?cudart(?:64)?[-_.]?[0-9a-z-]*?\.so\.(1[0-9])(?:\.([0-9]+))?")
_DLL: Final = re.compile(r"(?i)cudart64_(1[0-9])([0-9])?.*\.dll")
_RUNTIME: Final = re.compile(r"nvidia_cuda_runtime(?:_cu1[0-9])?-(1[0-9])\.([0-9]+)\.")
# The distributions and folders of an engine whose name is not its package's.
_PACKAGES: Final = {
    "llama_server": ("xllamacpp",),
    "llama_cpp_python": ("llama_cpp_python", "llama_cpp_python_cuda", "llama_cpp"),
}


def cuda_said(text: str) -> Cuda | None:
    """The CUDA that a version or a build names: ``2.5.1+cu124``, ``b9000 CUDA 13.0``."""
    if found := _SAID.search(text):
        return Cuda(int(found[1]), int(found[2]))
    found = _MAJOR_SAID.search(text)
    return Cuda(int(found[1])) if found else None


def cuda_of_files(names: Iterable[str]) -> Cuda | None:
    """The CUDA whose runtime is among these files, the most exact of them."""
    found: list[Cuda] = []
    for name in names:
        hit = _LIBRARY.fullmatch(name) or _LIBRARY.match(name) or _DLL.fullmatch(name)
        if hit:
            found.append(Cuda(int(hit[1]), int(hit[2]) if hit[2] else None))
    return max(found, key=lambda cuda: cuda.minor is not None, default=None)


def cuda_of_packages(names: Sequence[str], packages: Sequence[str]) -> Cuda | None:
    """The CUDA in the version of one of these distributions.

    Args:
        names: what lies in a ``site-packages``.
        packages: distributions, by the names of their folders.
    """
    for package in packages:
        for name in names:
            if name.startswith(f"{package}-") and name.endswith((".dist-info", ".egg-info")):
                version = name.removeprefix(f"{package}-").rpartition(".")[0]
                if cuda := cuda_said(version.partition("+")[2]):
                    return cuda
    return None


def runtime_package(names: Iterable[str]) -> Cuda | None:
    """The CUDA of NVIDIA's own runtime package, which CUDA builds of torch and others load."""
    for name in names:
        if found := _RUNTIME.match(name):
            return Cuda(int(found[1]), int(found[2]))
    return None


def cuda_build(status: EngineStatus) -> Cuda | None:
    """The CUDA an engine was built with; None for a build without, or one that does not tell."""
    probe = status.probe
    if probe is None or not probe.installed:
        return None
    if cuda := cuda_said(probe.build) or cuda_said(Path(probe.where).name):
        return cuda
    where = Path(probe.where)
    if where.is_absolute() and not where.name.startswith("python"):
        return _beside(where)
    python = where if where.is_absolute() else Path(sys.executable)
    packages = _PACKAGES.get(status.info.name, (status.info.name, "torch"))
    return _installed(python.parent.parent, packages)


def _beside(program: Path) -> Cuda | None:
    """What lies with a program: its own folder, and ``lib`` beside it."""
    folder = program.resolve().parent
    places = (folder, folder / "lib", folder.parent / "lib")
    return cuda_of_files(name for place in places for name in _files(place))


def _installed(prefix: Path, packages: Sequence[str]) -> Cuda | None:
    for site in (*sorted(prefix.glob("lib/python3*/site-packages")), prefix / "Lib/site-packages"):
        names = _names(site)
        if cuda := cuda_of_packages(names, packages):
            return cuda
        own = [
            name
            for package in packages
            for folder in (package, f"{package}/lib", f"{package}.libs")
            for name in _files(site / folder)
        ]
        if cuda := cuda_of_files(own):
            return cuda
        if any("cuda" in name for name in own) and (cuda := runtime_package(names)):
            return cuda
    return None


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in islice(folder.iterdir(), _MOST_NAMES))
    except OSError:
        return []


def _files(folder: Path) -> list[str]:
    """The names in a folder; of a link to a library the name that it stands for as well."""
    names = _names(folder)
    links = [name for name in names if "cudart" in name and (folder / name).is_symlink()]
    return [*names, *((folder / name).resolve().name for name in links)]
