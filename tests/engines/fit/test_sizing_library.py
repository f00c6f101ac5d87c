"""Which llama.cpp is asked for sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.fit.sizing_library import own_library, packaged_library, sizing_library


def build(folder: Path, *libraries: str, program: str = "llama-server") -> str:
    """A build of llama.cpp as it lies on disk; returns where its programs are."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / program).write_text("#!/bin/sh\n")
    (folder / "bin" / program).chmod(0o755)
    for library in libraries:
        path = folder / library
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return str(folder / "bin")


def test_the_wheel_has_one() -> None:
    packaged = packaged_library()
    assert packaged is not None
    assert sizing_library("/nowhere") == packaged


@pytest.mark.parametrize("place", ["bin", "lib"])
def test_a_build_with_a_gpu_is_asked_first(tmp_path: Path, place: str) -> None:
    search = build(tmp_path, f"{place}/libllama-common.so", f"{place}/libggml-cuda.so")
    assert sizing_library(search) == tmp_path / place / "libllama-common.so"


def test_a_build_without_one_says_no_more_than_the_wheel(tmp_path: Path) -> None:
    search = build(tmp_path, "bin/libllama-common.so", "bin/libggml-cpu.so")
    assert own_library(search) is not None
    assert sizing_library(search) == packaged_library()


def test_a_program_without_libraries_is_passed_over(tmp_path: Path) -> None:
    search = build(tmp_path, program="llama-fit-params")
    assert own_library(search) is None


def test_a_link_on_the_path_leads_to_the_build(tmp_path: Path) -> None:
    search = build(tmp_path / "build", "bin/libllama-common.so", "bin/libggml-vulkan.so")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "llama-server").symlink_to(Path(search, "llama-server"))
    assert sizing_library(str(tmp_path / "links")) == Path(search, "libllama-common.so")
