"""Which llama.cpp on this machine is asked for sizes."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Final

PROGRAMS: Final = ("llama-fit-params", "llama-server")
"""Programs of llama.cpp that stand beside its libraries."""

_GPU_BACKENDS: Final = ("cuda", "hip", "metal", "vulkan", "sycl", "musa", "cann", "opencl")


def sizing_library(search: str | None = None) -> Path | None:
    """The library to ask: a build of the user's own with a GPU, else the packaged one.

    A build counts for the devices it has, so that one with a GPU says more. The programs themselves
    are not asked: they cannot be told how many outputs a server keeps.

    Args:
        search: folders to look for programs in, as ``PATH`` has them; that by default.
    """
    own, packaged = own_library(search), packaged_library()
    if own is not None and (packaged is None or _has_gpu(own.parent)):
        return own
    return packaged


def packaged_library() -> Path | None:
    """The llama.cpp inside the wheel that the deck ships with; None when it is not installed."""
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    return next(iter(sorted(folder.glob("xllamacpp*.so"))), None)


def own_library(search: str | None = None) -> Path | None:
    """The shared library beside a program of llama.cpp on the path; None where there is none."""
    for program in PROGRAMS:
        found = shutil.which(program, path=search)
        if found is None:
            continue
        folder = Path(os.path.realpath(found)).parent
        for place in (folder, folder.parent / "lib"):
            for name in ("libllama-common.so", "libllama-common.dylib"):
                if (place / name).is_file():
                    return place / name
    return None


def _has_gpu(folder: Path) -> bool:
    return any(any(folder.glob(f"libggml-{backend}*")) for backend in _GPU_BACKENDS)
