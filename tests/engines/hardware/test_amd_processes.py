"""Who holds memory of an AMD card, out of trees of files like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.hardware.amd import amd_gpus
from modeldeck.engines.hardware.amd_processes import AmdProcesses
from modeldeck.engines.hardware.types import GpuProcess

MIB = 1 << 20
CARD = "0000:03:00.0"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def client(root: Path, pid: int, file: int, number: int, memory: str, *, card: str = CARD) -> None:
    """An open file of the card in a process."""
    folder = root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True, exist_ok=True)
    (folder / "fd" / str(file)).symlink_to("/dev/dri/renderD128")
    said = f"pos: 0\ndrm-driver: amdgpu\ndrm-pdev: {card}\ndrm-client-id: {number}\n{memory}\n"
    write(folder / "fdinfo" / str(file), said)


def program(root: Path, pid: int, *words: str) -> None:
    write(root / "proc" / str(pid) / "cmdline", "\0".join(words) + "\0")
    write(root / "proc" / str(pid) / "stat", f"{pid} (x) S 1 1")


def test_each_client_of_a_process_counts_once(tmp_path: Path) -> None:
    program(tmp_path, 7, "/usr/local/bin/ollama", "runner")
    client(tmp_path, 7, 3, 11, "drm-memory-vram: 2048 KiB")
    client(tmp_path, 7, 4, 11, "drm-memory-vram: 2048 KiB")
    client(tmp_path, 7, 5, 12, "drm-resident-vram: 3 MiB\ndrm-memory-vram: 9 MiB")
    program(tmp_path, 8, "/usr/bin/Xorg")
    client(tmp_path, 8, 3, 13, "drm-memory-vram: 70 MiB")
    client(tmp_path, 8, 4, 14, "drm-memory-vram: 1 MiB", card="0000:04:00.0")
    (tmp_path / "proc" / "8" / "fd" / "9").symlink_to("/dev/null")

    holders = AmdProcesses(tmp_path)
    assert holders.of(CARD) == (
        GpuProcess(8, "Xorg", 70 * MIB),
        GpuProcess(7, "Ollama runner", 5 * MIB),
    )
    assert holders.of("0000:04:00.0") == (GpuProcess(8, "Xorg", MIB),)
    assert holders.of("0000:05:00.0") == ()


def test_what_rocm_tells_of_others_processes_counts_too(tmp_path: Path) -> None:
    kfd = tmp_path / "sys/class/kfd/kfd"
    write(kfd / "topology/nodes/0/gpu_id", "0\n")
    write(kfd / "topology/nodes/1/gpu_id", "51234\n")
    write(kfd / "topology/nodes/1/properties", "location_id 768\ndomain 0\nsimd_count 120\n")
    write(kfd / "proc/9/vram_51234", f"{300 * MIB}\n")
    write(kfd / "proc/10/vram_51234", "0\n")
    program(tmp_path, 9, "python3", "-m", "vllm.entrypoints.openai.api_server")
    client(tmp_path, 9, 3, 1, "drm-memory-vram: 20 MiB")
    assert AmdProcesses(tmp_path).of(CARD) == (GpuProcess(9, "vLLM", 300 * MIB),)


@pytest.mark.parametrize(
    "memory", ["", "drm-memory-vram: lots", "drm-memory-vram: 5 PiB", "drm-memory-vram: 0 KiB"]
)
def test_what_is_no_size_is_nothing(tmp_path: Path, memory: str) -> None:
    client(tmp_path, 7, 3, 1, memory)
    write(tmp_path / "sys/class/kfd/kfd/topology/nodes/1/gpu_id", "\x1b")
    assert AmdProcesses(tmp_path).of(CARD) == ()


def test_they_are_looked_for_every_ten_seconds_at_most(tmp_path: Path) -> None:
    now_s = 0.0
    holders = AmdProcesses(tmp_path, lambda: int(now_s * 1e9))
    assert holders.of(CARD) == ()
    client(tmp_path, 7, 3, 1, "drm-memory-vram: 1 MiB")
    now_s = 9.9
    assert holders.of(CARD) == ()
    now_s = 10.0
    assert holders.of(CARD) == (GpuProcess(7, "", MIB),)


def test_a_card_shows_its_own_processes(tmp_path: Path) -> None:
    device = tmp_path / "sys/devices/pci0000:00" / CARD
    write(device / "vendor", "0x1002\n")
    write(device / "mem_info_vram_total", f"{8192 * MIB}\n")
    (tmp_path / "sys/class/drm/card0").mkdir(parents=True)
    (tmp_path / "sys/class/drm/card0/device").symlink_to(device)
    client(tmp_path, 7, 3, 1, "drm-memory-vram: 1 MiB")
    (gpu,) = amd_gpus(tmp_path, holders=AmdProcesses(tmp_path).of)
    assert gpu.processes == (GpuProcess(7, "", MIB),)
    assert amd_gpus(tmp_path)[0].processes is None


def test_this_machine_can_be_looked_at() -> None:
    assert isinstance(AmdProcesses().of(CARD), tuple)
