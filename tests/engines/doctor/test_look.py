"""The facts come from ``/proc`` and ``/sys``, whatever is missing there."""

from __future__ import annotations

from pathlib import Path

from modeldeck.engines.doctor.look import facts_now
from modeldeck.engines.doctor.types import Facts
from modeldeck.engines.hardware.types import HardwareSnapshot, HostSnapshot

NOTHING = HardwareSnapshot((), HostSnapshot("box", "", 1))


def look(root: Path, *places: Path) -> Facts:
    return facts_now(
        hardware=NOTHING,
        engines=(),
        places=places,
        data=root / "data",
        environ={},
        encoding="utf-8",
        root=root,
    )


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_an_empty_machine_has_no_facts(tmp_path: Path) -> None:
    facts = look(tmp_path)
    assert facts.nvidia_on_the_bus is None
    assert not facts.nvidia_module
    assert not facts.in_container
    assert facts.cpu_quota is None
    assert facts.cpu_flags == frozenset()
    assert facts.models == ()
    assert facts.swap_used_bytes is None
    assert not facts.wsl
    assert facts.data is None


def test_what_is_there_is_read(tmp_path: Path) -> None:
    write(tmp_path / "sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    write(tmp_path / "sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n")
    write(tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
    write(tmp_path / "proc/self/cgroup", "1:name=systemd:/\n0::/user/shell\n")
    write(tmp_path / "sys/fs/cgroup/user/cpu.max", "150000 100000\n")
    write(tmp_path / "proc/meminfo", "SwapTotal:  2048 kB\nSwapFree:  1024 kB\n")
    write(tmp_path / "proc/self/mounts", f"a / ext4 rw 0 0\nhost:/m {tmp_path} nfs4 rw 0 0\n")
    write(tmp_path / "proc/sys/kernel/osrelease", "6.6.87.2-microsoft-standard-WSL2\n")
    write(tmp_path / "proc/cpuinfo", "processor : 0\nflags\t\t: fpu avx avx2\n")
    write(tmp_path / "proc/sys/fs/inotify/max_user_watches", "8192\n")
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / ".dockerenv").touch()
    models = tmp_path / "models"
    models.mkdir()
    facts = look(tmp_path, models, tmp_path / "not there")

    assert facts.nvidia_on_the_bus
    assert facts.nvidia_module
    assert facts.in_container
    assert facts.cpu_governor == "powersave"
    assert facts.cpu_quota == 1.5
    assert facts.swap_used_bytes == 1 << 20
    assert facts.wsl
    assert "avx2" in facts.cpu_flags
    assert facts.inotify_watches == 8192
    (disk,) = facts.models
    assert disk.path == models
    assert disk.readable
    assert disk.free_bytes
    assert disk.filesystem == "nfs4"


def test_sound_cards_of_nvidia_and_limits_without_a_number_are_none(tmp_path: Path) -> None:
    write(tmp_path / "sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n")
    write(tmp_path / "sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n")
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "max 100000\n")
    facts = look(tmp_path)
    assert facts.nvidia_on_the_bus is False
    assert facts.cpu_quota is None


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    facts = facts_now(
        hardware=NOTHING,
        engines=(),
        places=(tmp_path,),
        data=tmp_path,
        environ={},
        encoding="utf-8",
    )
    assert facts.models[0].filesystem
    assert facts.data is not None
