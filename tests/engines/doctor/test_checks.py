"""Each check finds what it is for, says what to do, and is silent where all is well."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modeldeck.engines.choice import EngineStatus
from modeldeck.engines.doctor.checks import CHECKS, examine
from modeldeck.engines.doctor.cuda_drivers import Cuda
from modeldeck.engines.doctor.types import Disk, Facts, Severity
from modeldeck.engines.hardware.types import (
    GpuProcess,
    GpuSnapshot,
    HardwareSnapshot,
    HostSnapshot,
    Mig,
    PcieLink,
)
from modeldeck.engines.hardware.visible import visible
from modeldeck.engines.types import Device, EngineInfo, ModelFormat, Probe

GIB = 1 << 30
HOST = HostSnapshot("box", "Ryzen", 12, None, 64 * GIB, 60 * GIB)
CARD = GpuSnapshot(
    0,
    "GeForce RTX 3060",
    12 * GIB,
    GIB,
    11 * GIB,
    temperature_celsius=41,
    power_watts=15.0,
    power_limit_watts=170.0,
)
INFO = EngineInfo("llama_server", "llama.cpp server", frozenset({ModelFormat.GGUF}), "")


def engine(*devices: str) -> EngineStatus:
    found = tuple(Device(name, "", None, None) for name in devices)
    return EngineStatus(INFO, Probe(True, devices=found))


MISSING = EngineStatus(
    INFO, Probe(False, problem="It is not installed.", next_step="Get it.", installed=False)
)
BROKEN = EngineStatus(INFO, Probe(False, problem="It is too old.", next_step="Update it."))
WELL = Facts(
    hardware=HardwareSnapshot((CARD,), HOST),
    engines=(engine("CUDA0", "CPU"),),
    environ={"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    nvidia_on_the_bus=True,
    nvidia_module=True,
    swap_used_bytes=0,
    cpu_governor="schedutil",
    cpu_flags=frozenset({"avx", "avx2"}),
    machine="x86_64",
    models=(Disk(Path("/models"), "ext4", 500 * GIB, False),),
    data=Disk(Path("/home/u/.local/share/modeldeck"), "ext4", 50 * GIB),
    inotify_watches=65536,
)
NO_CARD = HardwareSnapshot((), HOST, "The NVIDIA driver is not here.")


def with_card(**more: Any) -> HardwareSnapshot:
    return HardwareSnapshot((CARD._replace(**more),), HOST)


def disk(**more: Any) -> tuple[Disk, ...]:
    return (replace(WELL.models[0], **more),)


def test_a_well_machine_is_left_alone() -> None:
    assert examine(WELL) == ()


def test_a_machine_of_which_nobody_can_tell_anything_is_not_slandered() -> None:
    facts = Facts(HardwareSnapshot((), HostSnapshot("box", "", 1)), environ={"TERM": "xterm"})
    assert examine(facts) == ()


def built_for(made: Cuda, device: str, **card: Any) -> dict[str, Any]:
    """An engine with a build for that CUDA, which lists this device, beside such a card."""
    return {
        "engines": (engine(device),),
        "cuda_builds": {"llama_server": made},
        "hardware": with_card(compute_capability=(8, 6), processes=None, **card),
    }


@pytest.mark.parametrize(
    ("check", "severity", "changes", "cause", "step"),
    [
        ("driver", "error", {"nouveau_module": True}, "nouveau", "apt install"),
        ("driver", "error", {"in_container": True}, "container", "--gpus all"),
        ("driver", "error", {}, "does not answer", "nvidia-smi"),
        ("driver", "error", {"nvidia_module": False}, "no driver", "apt install"),
    ],
)
def test_a_card_without_a_driver(
    check: str, severity: str, changes: dict[str, Any], cause: str, step: str
) -> None:
    (found,) = examine(replace(WELL, hardware=NO_CARD, **changes))
    assert (found.check, found.severity) == (check, severity)
    assert cause in found.cause
    assert step in found.next_step


def test_without_a_card_there_is_no_driver_to_miss() -> None:
    (found,) = examine(replace(WELL, hardware=NO_CARD, nvidia_on_the_bus=False))
    assert (found.check, found.severity) == ("driver", "advice")
    assert "No NVIDIA card was found" in found.cause


def test_the_decks_own_engine_is_no_stranger_on_the_card() -> None:
    held = with_card(processes=(GpuProcess(7, "llama-server", 9 * GIB),))
    assert not examine(replace(WELL, hardware=held, own_pids=frozenset({7})))


@pytest.mark.parametrize(
    ("check", "severity", "changes", "cause", "step"),
    [
        (
            "engine-build",
            "warning",
            {"engines": (engine("CPU"),)},
            "no engine can use",
            "GGML_CUDA",
        ),
        ("engines", "error", {"engines": (MISSING,)}, "It is not installed.", "Get it."),
        (
            "other-processes",
            "warning",
            {"hardware": with_card(processes=(GpuProcess(7, "Xorg", 2 * GIB),))},
            "Xorg (pid 7) holds 2.0 GiB",
            "ps -fp 7",
        ),
        ("heat", "warning", {"hardware": with_card(temperature_celsius=91)}, "91 °C", "fans"),
        ("heat", "advice", {"hardware": with_card(power_watts=169.0)}, "169 W", "normal"),
        ("heat", "warning", {"hardware": with_card(throttled_by=("heat",))}, "by heat", "fans"),
        (
            "link",
            "warning",
            {"hardware": with_card(pcie=PcieLink(4, 4, 4, 16), utilisation_percent=90)},
            "4 of 16 PCIe lanes",
            "slot",
        ),
        (
            "link",
            "advice",
            {"hardware": with_card(pcie=PcieLink(1, 16, 4, 16), utilisation_percent=90)},
            "PCIe 1 instead of 4",
            "riser",
        ),
        ("instances", "error", {"hardware": with_card(mig=Mig.PARENT)}, "no instance", "-cgi"),
        (
            "engine-build",
            "error",
            built_for(Cuda(12, 4), "CPU", driver="470.82.01", cuda="11.4"),
            "llama_server was built with CUDA 12.4 and needs driver 525.60.13 or newer; here is"
            " 470.82.01.",
            "a build for CUDA 11.4 or older",
        ),
        (
            "engine-build",
            "error",
            built_for(Cuda(13), "CPU", driver="575.51", cuda="12.9"),
            "needs driver 580.65.06 or newer",
            "Update the NVIDIA driver",
        ),
        (
            "engine-build",
            "error",
            built_for(Cuda(14, 0), "CPU", driver="595.45.04", cuda="13.2"),
            "built with CUDA 14.0, and the driver runs 13.2 at most",
            "Update",
        ),
        (
            "engine-build",
            "advice",
            built_for(Cuda(12, 8), "CUDA0", driver="535.54.03", cuda="12.2"),
            "built with CUDA 12.8, whose own driver is 570.26; here is 535.54.03",
            "Update",
        ),
        (
            "hidden",
            "warning",
            {
                "environ": {**WELL.environ, "CUDA_VISIBLE_DEVICES": "-1"},
                "hardware": with_card(compute_capability=(8, 6))._replace(visible=()),
            },
            "hides every card",
            "unset CUDA_VISIBLE_DEVICES",
        ),
        ("sleep", "advice", {"hardware": with_card(persistent=False)}, "the next load", "-pm 1"),
        ("windows", "advice", {"wsl": True}, "does not say which process", "Task Manager"),
        (
            "heat",
            "warning",
            {"hardware": with_card(throttled_by=("the board's limit",))},
            "held down by the board's limit",
            "PERFORMANCE",
        ),
        (
            "heat",
            "advice",
            {"hardware": with_card(throttled_by=("the reliability voltage",))},
            "reliability voltage",
            "normal",
        ),
        ("memory", "warning", {"swap_used_bytes": 3 * GIB}, "swapped out", "free -h"),
        (
            "memory",
            "warning",
            {"hardware": HardwareSnapshot((CARD,), HOST._replace(memory_available_bytes=GIB))},
            "1.0 GiB of memory are left",
            "rss",
        ),
        ("processor", "advice", {"cpu_governor": "powersave"}, "powersave", "cpupower"),
        ("processor", "warning", {"cpu_quota": 1.5}, "lets 1.5 of them", "--cpus"),
        ("processor", "warning", {"cpu_flags": frozenset({"avx"})}, "AVX2", "GPU"),
        ("disks", "error", {"models": disk(readable=False)}, "cannot be listed", "chmod"),
        ("disks", "advice", {"models": disk(filesystem="nfs4")}, "nfs4", "Copy"),
        ("disks", "advice", {"models": disk(filesystem="fuse.sshfs")}, "fuse.sshfs", "Copy"),
        ("disks", "advice", {"models": disk(rotational=True)}, "spinning", "Copy"),
        ("disks", "advice", {"models": disk(free_bytes=GIB)}, "Only 1.0 GiB", "Delete"),
        (
            "skipped",
            "warning",
            {"unreadable": (Path("/srv/a b"), Path("/srv/c")), "unreadable_count": 5},
            "5 folders cannot be read, and what is in there is not listed: /srv/a b, /srv/c and 3"
            " more.",
            "chmod u+rx '/srv/a b'",
        ),
        (
            "skipped",
            "warning",
            {
                "unreadable": (Path("/usr/share/ollama/.ollama/models/manifests"),),
                "unreadable_count": 1,
            },
            "1 folder cannot be read",
            "usermod -aG ollama",
        ),
        ("kept", "error", {"data": Disk(Path("/d"), readable=False)}, "cannot be used", "chown"),
        ("kept", "warning", {"data": Disk(Path("/d"), free_bytes=5)}, "free where", "df -h"),
        ("terminal", "warning", {"environ": {"TERM": "dumb"}}, "cannot be drawn", "export TERM"),
        ("terminal", "error", {"encoding": "latin-1"}, "needs UTF-8", "export LC_ALL"),
        (
            "terminal",
            "advice",
            {"environ": {"TERM": "xterm-256color", "SSH_TTY": "/dev/pts/1"}},
            "256 are used",
            "--color truecolor",
        ),
        ("settings", "warning", {"settings_problems": ("A bad line.",)}, "A bad line.", "Mend"),
        ("watches", "advice", {"inotify_watches": 100}, "Only 100 folders", "sysctl"),
    ],
)
def test_what_is_wrong_is_found_and_can_be_mended(
    check: str, severity: str, changes: dict[str, Any], cause: str, step: str
) -> None:
    (found,) = examine(replace(WELL, **changes))
    assert (found.check, found.severity) == (check, severity)
    assert cause in found.cause
    assert step in found.next_step


def test_every_check_is_tried_here_and_speaks_in_sentences() -> None:
    tried = set(re.findall(r'^        \(\s*"([a-z-]+)",', Path(__file__).read_text(), re.M))
    assert tried == set(CHECKS)


def test_the_worst_comes_first() -> None:
    facts = replace(WELL, cpu_governor="powersave", encoding="ascii", swap_used_bytes=2 * GIB)
    assert [found.severity for found in examine(facts)] == [
        *(Severity.ERROR, Severity.WARNING, Severity.ADVICE)
    ]


def test_an_idle_link_and_an_older_build_are_no_trouble() -> None:
    idle = with_card(pcie=PcieLink(1, 8, 4, 16), utilisation_percent=3, driver="590.48.01")
    assert examine(replace(WELL, hardware=idle, cuda_builds={"llama_server": Cuda(12, 8)})) == ()


def test_a_build_that_does_run_is_not_said_to_need_another_driver() -> None:
    facts = replace(WELL, **built_for(Cuda(13), "CUDA0", driver="550.54.15", cuda="13.0"))
    assert examine(facts) == ()


def test_in_wsl_the_driver_is_one_of_windows() -> None:
    facts = replace(WELL, **built_for(Cuda(12, 4), "CPU", driver="527.41"), wsl=True)
    found = examine(facts)
    assert [one.check for one in found] == ["engine-build", "windows"]
    assert "needs driver 528.33 or newer; here is 527.41" in found[0].cause
    (linux,) = examine(replace(facts, wsl=False))
    assert linux.severity is Severity.WARNING  # new enough, and yet it lists the CPU alone
    assert "was built with CUDA 12.4 and does not see it" in linux.cause
    assert "CUDA_VISIBLE_DEVICES" in linux.next_step


def test_what_to_build_is_said_for_the_maker_of_the_card() -> None:
    nvidia = replace(WELL, engines=(engine("CPU"),))
    amd = replace(nvidia, hardware=with_card(driver="amdgpu", name="Radeon RX 7900 XTX"))
    assert "GGML_CUDA" in examine(nvidia)[0].next_step
    assert "GGML_VULKAN" in examine(amd)[0].next_step


def test_a_folder_that_cannot_be_listed_is_told_once() -> None:
    closed = disk(path=Path("/models"), readable=False)
    facts = replace(WELL, models=closed, unreadable=(Path("/models"),), unreadable_count=1)
    (found,) = examine(facts)
    assert (found.check, found.severity) == ("disks", Severity.ERROR)


@pytest.mark.parametrize(
    ("shown", "count"), [("0", 1), ("1,0", None), ("GPU-1f,-1,0", 1), ("0,1", None)]
)
def test_a_hidden_card_of_two_is_told(shown: str, count: int | None) -> None:
    card = CARD._replace(compute_capability=(8, 6), uuid="GPU-1f53")
    cards = (card, card._replace(number=1, uuid="GPU-2a77"))
    two = HardwareSnapshot(cards, HOST, "", visible(cards, {"CUDA_VISIBLE_DEVICES": shown}))
    environ = {**WELL.environ, "CUDA_VISIBLE_DEVICES": shown}
    found = examine(replace(WELL, hardware=two, environ=environ))
    assert [one.check for one in found] == (["hidden"] if count else [])
    assert all(f"see {count} of 2 cards" in one.cause for one in found)


def test_a_card_in_use_does_not_sleep() -> None:
    used = with_card(persistent=False, processes=(GpuProcess(7, "Xorg", 1 << 20),))
    assert examine(replace(WELL, hardware=used)) == ()


def test_every_engine_that_cannot_be_used_says_why() -> None:
    found = examine(replace(WELL, engines=(MISSING, BROKEN)))
    assert [one.next_step for one in found] == ["Get it.", "Update it."]
    assert {one.severity for one in found} == {Severity.ERROR}


def test_beside_one_that_works_an_engine_is_missing_to_nobody() -> None:
    assert examine(replace(WELL, engines=(*WELL.engines, MISSING))) == ()
    (found,) = examine(replace(WELL, engines=(*WELL.engines, MISSING, BROKEN)))
    assert (found.severity, found.cause) == (Severity.ADVICE, "It is too old.")


def test_what_an_instance_holds_is_said_once() -> None:
    held = (GpuProcess(7, "ollama", 4 * GIB),)
    parent = CARD._replace(mig=Mig.PARENT, processes=held)
    instance = CARD._replace(number=1, mig=Mig.INSTANCE, processes=held)
    (found,) = examine(replace(WELL, hardware=HardwareSnapshot((parent, instance), HOST)))
    assert found.check == "other-processes"
