"""Which CUDA a build was made with, as its files tell, and which driver that needs."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from modeldeck.engines.choice import EngineStatus
from modeldeck.engines.doctor.cuda_builds import (
    cuda_build,
    cuda_of_files,
    cuda_of_packages,
    cuda_said,
    runtime_package,
)
from modeldeck.engines.doctor.cuda_drivers import Cuda, Needed, is_older, needed_driver
from modeldeck.engines.types import EngineInfo, ModelFormat, Probe


@pytest.mark.parametrize(
    ("text", "cuda"),
    [
        ("0.3.4+cu124", Cuda(12, 4)),
        ("cu118", Cuda(11, 8)),
        ("b9000 CUDA 13.0", Cuda(13, 0)),
        ("cuda-12-1", Cuda(12, 1)),
        ("cuda_v12", Cuda(12)),
        ("llama-b6000-cuda12", Cuda(12)),
        ("6000 (abc1234)", None),
        ("accu120", None),
        ("cu1280", None),
        ("rocm6.2", None),
        ("", None),
    ],
)
def test_a_version_names_its_cuda(text: str, cuda: Cuda | None) -> None:
    assert cuda_said(text) == cuda


@pytest.mark.parametrize(
    ("names", "cuda"),
    [
        (["libggml.so", "libcudart.so.12", "libcudart.so.12.4.127"], Cuda(12, 4)),
        (["libcudart-9335f6a2.so.12.1.105"], Cuda(12, 1)),
        (["libcudart.so.13"], Cuda(13)),
        (["cudart64_12.dll"], Cuda(12)),
        (["cudart64_110.dll"], Cuda(11, 0)),
        (["libcudart_static.a", "libcuda.so.1", "libcudart.so"], None),
    ],
)
def test_the_runtime_beside_a_build_tells(names: list[str], cuda: Cuda | None) -> None:
    assert cuda_of_files(names) == cuda


def test_packages_tell_by_their_versions() -> None:
    names = ["torch-2.5.1+cu124.dist-info", "torchvision-0.20+cu121.dist-info", "torch"]
    assert cuda_of_packages(names, ("torch",)) == Cuda(12, 4)
    assert cuda_of_packages(names, ("vllm",)) is None
    assert cuda_of_packages(["torch-2.5.1+cpu.dist-info"], ("torch",)) is None
    assert runtime_package(["nvidia_cuda_runtime_cu12-12.8.90.dist-info"]) == Cuda(12, 8)
    assert runtime_package(["nvidia_cuda_runtime-13.0.48.dist-info"]) == Cuda(13, 0)
    assert runtime_package(["nvidia_cublas_cu12-12.8.4.dist-info"]) is None


def status(name: str, where: Path | str, build: str = "") -> EngineStatus:
    info = EngineInfo(name, name, frozenset({ModelFormat.GGUF}), "")
    return EngineStatus(info, Probe(True, build, str(where)))


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_program_tells_by_what_lies_beside_it(tmp_path: Path) -> None:
    program = made(tmp_path / "llama" / "bin" / "llama-server")
    made(tmp_path / "llama" / "lib" / "libcudart.so.12.6.77")
    (tmp_path / "llama" / "lib" / "libcudart.so.12").symlink_to("libcudart.so.12.6.77")
    link = tmp_path / "llama-server"
    link.symlink_to(program)
    assert cuda_build(status("llama_server", program)) == Cuda(12, 6)
    assert cuda_build(status("llama_server", link)) == Cuda(12, 6)
    assert cuda_build(status("llama_server", made(tmp_path / "other" / "llama-server"))) is None


def test_a_library_tells_by_its_package(tmp_path: Path) -> None:
    python = made(tmp_path / "bin" / "python3")
    site = tmp_path / "lib" / "python3.12" / "site-packages"
    made(site / "torch-2.9.0+cu130.dist-info" / "METADATA")
    made(site / "nvidia_cuda_runtime_cu12-12.4.127.dist-info" / "METADATA")
    made(site / "llama_cpp" / "lib" / "libggml-cpu.so")
    llama = status("llama_cpp_python", python)
    assert cuda_build(llama) is None  # a build for the CPU beside torch for CUDA
    assert cuda_build(status("exllamav3", python)) == Cuda(13, 0)

    made(site / "llama_cpp" / "lib" / "libggml-cuda.so")
    assert cuda_build(llama) == Cuda(12, 4)
    made(site / "llama_cpp" / "lib" / "libcudart.so.12.2.140")
    assert cuda_build(llama) == Cuda(12, 2)
    made(site / "llama_cpp_python-0.3.4+cu121.dist-info" / "METADATA")
    assert cuda_build(llama) == Cuda(12, 1)


def test_an_engine_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert cuda_build(EngineStatus(status("x", "").info)) is None
    assert cuda_build(status("llama_server", "the xllamacpp wheel")) is None
    assert cuda_build(status("llama_cpp_python", tmp_path / "no" / "python3")) is None


@pytest.mark.parametrize(
    ("cuda", "windows", "needed"),
    [
        (Cuda(12, 4), False, Needed("525.60.13", "550.54.14")),
        (Cuda(12, 4), True, Needed("528.33", "551.61")),
        (Cuda(12), False, Needed("525.60.13", "")),
        (Cuda(12, 7), False, Needed("525.60.13", "560.28.03")),
        (Cuda(13, 9), False, Needed("580.65.06", "595.45.04")),
        (Cuda(13, 0), True, Needed("", "")),
        (Cuda(99, 0), False, Needed("", "")),
    ],
)
def test_the_driver_a_cuda_needs(cuda: Cuda, windows: bool, needed: Needed) -> None:
    assert needed_driver(cuda, windows=windows) == needed


def test_drivers_are_compared_as_numbers() -> None:
    assert is_older("525.60.13", "525.105.17")
    assert is_older("570.26", "570.124.06")
    assert not is_older("580.65.06", "580.65.06")
    assert not is_older("580.95", "580.65.06")
    assert not is_older("amdgpu", "525.60")
    assert not is_older("525.60.13", "")


def test_the_table_is_in_order_and_sourced() -> None:
    path = Path(needed_driver.__code__.co_filename).with_name("cuda_drivers.csv")
    text = path.read_text(encoding="utf-8")
    assert "source: https://docs.nvidia.com/cuda/" in text
    rows = re.findall(r"^toolkit,(\d+)\.(\d+),(\S+?),(\S*)$", text, re.M)
    assert len(rows) > 20
    order = [(int(major), int(minor)) for major, minor, _, _ in rows]
    assert order == sorted(order)
    assert all(is_older(a[2], b[2]) for a, b in pairwise(rows))
