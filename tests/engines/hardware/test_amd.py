"""AMD cards out of a tree of files like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.hardware.amd import amd_gpus
from modeldeck.engines.hardware.types import GpuClocks, PcieLink

GIB = 1 << 30


def card(root: Path, number: int, files: dict[str, str]) -> None:
    device = root / "sys/class/drm" / f"card{number}" / "device"
    for name, text in {"vendor": "0x1002", "device": "0x73bf", **files}.items():
        path = device / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


FULL = {
    "mem_info_vram_total": str(16 * GIB),
    "mem_info_vram_used": str(3 * GIB),
    "gpu_busy_percent": "42",
    "product_name": "Radeon RX 6900 XT",
    "hwmon/hwmon3/temp1_input": "61000",
    "hwmon/hwmon3/power1_average": "187000000",
    "hwmon/hwmon3/power1_cap": "300000000",
    "pp_dpm_sclk": "0: 500Mhz\n1: 2105Mhz *\n2: 2660Mhz",
    "pp_dpm_mclk": "0: 96Mhz *\n1: 1000Mhz",
    "current_link_speed": "16.0 GT/s PCIe",
    "current_link_width": "8",
    "max_link_speed": "16.0 GT/s PCIe",
    "max_link_width": "16",
}


def test_a_card_is_read_in_full(tmp_path: Path) -> None:
    card(tmp_path, 0, FULL)
    (gpu,) = amd_gpus(tmp_path, first_index=1)
    assert (gpu.number, gpu.name, gpu.driver) == (1, "Radeon RX 6900 XT", "amdgpu")
    assert (gpu.memory_total_bytes, gpu.memory_free_bytes) == (16 * GIB, 13 * GIB)
    assert (gpu.utilisation_percent, gpu.temperature_celsius) == (42, 61)
    assert (gpu.power_watts, gpu.power_limit_watts) == (187.0, 300.0)
    assert gpu.clocks == GpuClocks(2105, 2660, 96, 1000)
    assert gpu.pcie == PcieLink(4, 8, 4, 16)


def test_what_is_missing_is_not_known(tmp_path: Path) -> None:
    card(tmp_path, 1, {"mem_info_vram_total": str(8 * GIB)})
    (gpu,) = amd_gpus(tmp_path)
    assert gpu.name == "AMD GPU 0x73bf"
    assert (gpu.memory_used_bytes, gpu.memory_free_bytes, gpu.power_watts) == (None, None, None)
    assert gpu.clocks == GpuClocks()


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"mem_info_vram_total": "0"},
        {"mem_info_vram_total": "lots"},
        {"mem_info_vram_total": str(8 * GIB), "vendor": "0x8086"},
    ],
)
def test_what_has_no_memory_or_is_not_amds_is_not_listed(
    tmp_path: Path, files: dict[str, str]
) -> None:
    card(tmp_path, 0, files)
    (tmp_path / "sys/class/drm/card0-HDMI-A-1").mkdir()
    assert amd_gpus(tmp_path) == ()


def test_no_cards_are_no_trouble(tmp_path: Path) -> None:
    assert amd_gpus(tmp_path) == ()


def test_hostile_files_are_data(tmp_path: Path) -> None:
    card(
        tmp_path,
        0,
        {
            **FULL,
            "product_name": "[red]x\x1b]0;y\x07" + "z" * 9000,
            "pp_dpm_sclk": "::::\n9: 99999999999999999999Mhz *",
            "gpu_busy_percent": "9" * 30,
        },
    )
    (gpu,) = amd_gpus(tmp_path)
    assert "\x1b" not in gpu.name
    assert len(gpu.name) <= 80
    assert gpu.utilisation_percent is None
