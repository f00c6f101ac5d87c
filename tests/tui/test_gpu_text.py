"""What ``modeldeck gpu`` prints."""

from __future__ import annotations

import json
from pathlib import Path

from modeldeck.engines.hardware.record import gpu_record
from modeldeck.engines.hardware.types import (
    GpuClocks,
    GpuProcess,
    GpuSnapshot,
    HardwareSnapshot,
    HostSnapshot,
    Mig,
    PcieLink,
)
from modeldeck.tui.gpu_text import machine_lines

GIB = 1 << 30
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
HOST = HostSnapshot("gpubox", "Ryzen 5 5600", 12, 3.0, 64 * GIB, 60 * GIB)
FULL = GpuSnapshot(
    number=0,
    name="NVIDIA GeForce RTX 3060",
    memory_total_bytes=12 * GIB,
    memory_used_bytes=3 * GIB,
    memory_free_bytes=9 * GIB,
    utilisation_percent=97,
    temperature_celsius=71,
    power_watts=168.4,
    power_limit_watts=170.0,
    driver="580.10",
    cuda="13.0",
    compute_capability=(8, 6),
    clocks=GpuClocks(1777, 2100, 7301, 7501),
    pcie=PcieLink(4, 8, 4, 16),
    throttled_by=("the power limit",),
    processes=(
        GpuProcess(42, "Qwen3-8B", 2 * GIB, deck=40),
        GpuProcess(43, "vLLM", 80 << 20),
        GpuProcess(7, "", None),
    ),
    persistent=False,
)


def text_of(*gpus: GpuSnapshot, note: str = "") -> str:
    return "\n".join(machine_lines(HardwareSnapshot(gpus, HOST, note)))


def test_a_card_in_full() -> None:
    assert (
        text_of(FULL)
        == """\
gpubox: Ryzen 5 5600, 12 cores
  memory 60.0 of 64.0 GiB available

GPU 0: NVIDIA GeForce RTX 3060
  memory     3.0 of 12.0 GiB used, 9.0 free
  load       use 97 %, 71 °C, 168 W of 170 W
  clocks     cores 1777 of 2100 MHz, memory 7301 of 7501 MHz
  held down  by the power limit
  link       PCIe 4 x8 of PCIe 4 x16
  driver     580.10, CUDA 13.0 at most, compute capability 8.6
  unused     let go by the driver: persistence mode is off
  processes     2,048 MiB  Qwen3-8B, held by the deck  (pid 42)
                   80 MiB  vLLM  (pid 43)
                  n/a      a process of another container or user  (pid 7)"""
    )


def test_what_nobody_tells_is_said_to_be_unknown() -> None:
    bare = text_of(GpuSnapshot(1, "GPU 1", mig=Mig.INSTANCE))
    assert "GPU 1: GPU 1 (MIG instance)" in bare
    assert "memory     n/a" in bare
    assert "load       n/a" in bare
    assert "use n/a, 41 °C, n/a" in text_of(GpuSnapshot(0, "GPU 0", temperature_celsius=41))
    assert "processes  n/a" in bare
    assert "None" not in bare


def test_several_cards_and_none() -> None:
    both = text_of(FULL, GpuSnapshot(1, "Radeon", mig=Mig.PARENT))
    assert both.index("GPU 0") < both.index("GPU 1: Radeon (cut into MIG instances)")
    assert "No GPU: No driver." in text_of(note="No driver.")


def test_what_runs_on_instances_is_listed_with_them_alone() -> None:
    held = (GpuProcess(5, "vLLM", GIB),)
    parent = GpuSnapshot(0, "A100", mig=Mig.PARENT, processes=held)
    instance = GpuSnapshot(1, "A100 MIG", mig=Mig.INSTANCE, processes=held)
    text = text_of(parent, instance, GpuSnapshot(2, "A100 MIG", mig=Mig.INSTANCE, processes=()))
    assert text.count("vLLM") == 1
    assert "processes  on its instances" in text
    assert "processes  none" in text


def test_a_link_that_fell_on_an_idle_card_is_not_mistaken() -> None:
    link = PcieLink(1, 16, 4, 16)
    idle = GpuSnapshot(0, "GPU 0", utilisation_percent=0, pcie=link)
    fallen = "link       PCIe 1 x16 of PCIe 4 x16, which an idle card lets fall"
    assert fallen in text_of(idle)
    assert "lets fall" not in text_of(idle._replace(utilisation_percent=60))


def test_every_key_is_documented() -> None:
    page = DOCS.read_text(encoding="utf-8")
    record = json.loads(json.dumps(gpu_record(FULL)))
    for key in record:
        assert f"`{key}`" in page, key
    for kind in (GpuClocks, PcieLink, GpuProcess):
        for name in kind._fields:
            assert f"`{name}`" in page, name


def test_a_card_that_the_environment_hides_says_so() -> None:
    two = HardwareSnapshot((FULL, FULL._replace(number=1)), HOST, "", (1,))
    lines = list(machine_lines(two))
    hidden = next(at for at, line in enumerate(lines) if "from engines" in line)
    assert sum("from engines" in line for line in lines) == 1
    assert hidden < next(at for at, line in enumerate(lines) if line.startswith("GPU 1"))
