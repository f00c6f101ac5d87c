"""The machine seen through a scripted driver: what the status line can rely on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from modeldeck.engines.hardware.monitor import HardwareMonitor
from modeldeck.engines.hardware.nvml import NvmlError, NvmlFault, NvmlMemory
from modeldeck.engines.hardware.types import GpuClocks, GpuProcess, HostSnapshot, Mig, PcieLink

MIB = 1 << 20
SECOND = 1_000_000_000


@dataclass
class Clock:
    now_ns: int = 10 * SECOND

    def __call__(self) -> int:
        return self.now_ns

    def forward(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND)


class QuietHost:
    def read(self) -> HostSnapshot:
        return HostSnapshot(name="gpubox", cpu_name="a processor", cpu_cores=8)


@dataclass
class ScriptedNvml:
    """A driver with RTX 3060s; a fault named for a call is raised instead of its answer."""

    gpus: int = 1
    faults: dict[str, NvmlFault] = field(default_factory=dict[str, NvmlFault])
    lost: set[int] = field(default_factory=set[int])
    calls: Counter[str] = field(default_factory=Counter[str])
    sessions: int = 0
    free_bytes: int = 11000 * MIB
    temperature: int = 41
    product: str = "NVIDIA GeForce RTX 3060"
    running: tuple[tuple[int, int | None], ...] = ()
    programs: dict[int, str] = field(default_factory=dict[int, str])
    cut: dict[int, Mig] = field(default_factory=dict[int, Mig])
    throttle: int = 0

    def _called(self, name: str, index: int | None = None) -> None:
        self.calls[name] += 1
        if name in self.faults:
            raise NvmlError(self.faults[name], "scripted")
        if index in self.lost:
            raise NvmlError(NvmlFault.DEVICE_LOST)

    def start(self) -> None:
        self._called("start")
        self.sessions += 1

    def stop(self) -> None:
        self._called("stop")
        self.sessions -= 1

    def driver_version(self) -> str:
        self._called("driver_version")
        return "595.71"

    def cuda_version(self) -> tuple[int, int]:
        self._called("cuda_version")
        return (13, 1)

    def mig(self, index: int) -> Mig:
        return self.cut.get(index, Mig.OFF)

    def is_persistent(self, index: int) -> bool:
        self._called("is_persistent", index)
        return True

    def clocks(self, index: int) -> GpuClocks:
        self._called("clocks", index)
        return GpuClocks(1777, 2100, 7501, 7501)

    def pcie(self, index: int) -> PcieLink:
        self._called("pcie", index)
        return PcieLink(4, 8, 4, 16)

    def throttle_bits(self, index: int) -> int:
        self._called("throttle_bits", index)
        return self.throttle

    def device_count(self) -> int:
        self._called("device_count")
        return self.gpus

    def name(self, index: int) -> str:
        self._called("name", index)
        return self.product

    def uuid(self, index: int) -> str:
        self._called("uuid", index)
        return f"GPU-{index}1f5"

    def compute_capability(self, index: int) -> tuple[int, int]:
        self._called("compute_capability", index)
        return (8, 6)

    def memory(self, index: int) -> NvmlMemory:
        self._called("memory", index)
        return NvmlMemory(12288 * MIB, self.free_bytes, 382 * MIB)

    def utilisation_percent(self, index: int) -> int:
        self._called("utilisation_percent", index)
        return 97

    def temperature_celsius(self, index: int) -> int:
        self._called("temperature_celsius", index)
        return self.temperature

    def power_watts(self, index: int) -> float:
        self._called("power_watts", index)
        return 168.5

    def power_limit_watts(self, index: int) -> float:
        self._called("power_limit_watts", index)
        return 170.0

    def energy_joules(self, index: int) -> float:
        self._called("energy_joules", index)
        return 1234.5

    def processes(self, index: int) -> tuple[tuple[int, int | None], ...]:
        self._called("processes", index)
        return self.running

    def process_name(self, pid: int) -> str:
        self._called("process_name")
        if pid not in self.programs:
            raise NvmlError(NvmlFault.FAILED, "Not Found")
        return self.programs[pid]


def monitor_of(nvml: ScriptedNvml, clock: Clock) -> HardwareMonitor:
    return HardwareMonitor(nvml, clock, QuietHost())


def test_a_gpu_box_is_read_in_full() -> None:
    snapshot = monitor_of(ScriptedNvml(), Clock()).sample()

    (gpu,) = snapshot.gpus
    assert snapshot.gpu_note == ""
    assert snapshot.host.name == "gpubox"
    assert gpu.name == "NVIDIA GeForce RTX 3060"
    assert gpu.memory_total_bytes == 12288 * MIB
    assert gpu.memory_free_bytes == 11000 * MIB
    assert gpu.memory_used_bytes == 1288 * MIB
    assert gpu.memory_reserved_bytes == 382 * MIB
    assert gpu.utilisation_percent == 97
    assert (gpu.temperature_celsius, gpu.power_watts, gpu.power_limit_watts) == (41, 168.5, 170.0)
    assert gpu.energy_joules == 1234.5
    assert (gpu.driver, gpu.compute_capability) == ("595.71", (8, 6))
    assert gpu.processes == ()


def test_each_reading_is_asked_no_more_often_than_it_can_change() -> None:
    nvml, clock = ScriptedNvml(), Clock()
    monitor = monitor_of(nvml, clock)
    for _ in range(8):  # two seconds at 4 Hz
        monitor.sample()
        clock.forward(0.25)

    assert nvml.calls["memory"] == nvml.calls["utilisation_percent"] == 8
    assert nvml.calls["temperature_celsius"] == nvml.calls["power_watts"] == 2
    assert nvml.calls["processes"] == 1
    once = ("start", "name", "driver_version", "compute_capability", "power_limit_watts")
    assert [nvml.calls[name] for name in once] == [1, 1, 1, 1, 1]


def test_free_memory_is_always_now_and_temperature_at_most_a_second_old() -> None:
    nvml, clock = ScriptedNvml(), Clock()
    monitor = monitor_of(nvml, clock)
    monitor.sample()
    nvml.free_bytes, nvml.temperature = 5 * MIB, 80
    clock.forward(0.25)
    (gpu,) = monitor.sample().gpus
    assert (gpu.memory_free_bytes, gpu.temperature_celsius) == (5 * MIB, 41)
    clock.forward(0.75)
    assert monitor.sample().gpus[0].temperature_celsius == 80


def test_a_reading_the_card_does_not_have_is_absent_and_not_asked_for_a_minute() -> None:
    nvml, clock = ScriptedNvml(faults={"power_watts": NvmlFault.UNSUPPORTED}), Clock()
    monitor = monitor_of(nvml, clock)
    for _ in range(59):
        (gpu,) = monitor.sample().gpus
        assert gpu.power_watts is None
        assert gpu.temperature_celsius == 41
        clock.forward(1)
    assert nvml.calls["power_watts"] == 1
    del nvml.faults["power_watts"]
    clock.forward(1)
    assert monitor.sample().gpus[0].power_watts == 168.5


def test_a_reading_that_fails_once_is_absent_and_never_the_old_value() -> None:
    nvml, clock = ScriptedNvml(), Clock()
    monitor = monitor_of(nvml, clock)
    assert monitor.sample().gpus[0].temperature_celsius == 41
    nvml.faults["temperature_celsius"] = NvmlFault.FAILED
    clock.forward(1)
    assert monitor.sample().gpus[0].temperature_celsius is None
    del nvml.faults["temperature_celsius"]
    clock.forward(5)
    assert monitor.sample().gpus[0].temperature_celsius == 41


def test_a_machine_without_a_driver_is_a_normal_state_told_in_a_sentence() -> None:
    notes = {
        NvmlFault.NO_LIBRARY: "No NVIDIA driver is installed.",
        NvmlFault.NO_DRIVER: "NVIDIA's library is installed, but the driver is not loaded.",
        NvmlFault.NO_PERMISSION: "The NVIDIA driver lets this user see no GPU.",
        NvmlFault.MISMATCH: (
            "The NVIDIA driver was updated and waits for a restart of the machine."
        ),
        NvmlFault.FAILED: "The NVIDIA driver does not answer: scripted.",
    }
    for kind, note in notes.items():
        snapshot = monitor_of(ScriptedNvml(faults={"start": kind}), Clock()).sample()
        assert snapshot.gpus == ()
        assert snapshot.gpu_note == note
        assert snapshot.host.name == "gpubox"


def test_a_driver_without_a_gpu_says_so() -> None:
    snapshot = monitor_of(ScriptedNvml(gpus=0), Clock()).sample()
    assert snapshot.gpus == ()
    assert snapshot.gpu_note == "The NVIDIA driver finds no GPU."


def test_a_driver_that_comes_later_is_found_and_is_looked_for_ever_more_rarely() -> None:
    nvml, clock = ScriptedNvml(faults={"start": NvmlFault.NO_LIBRARY}), Clock()
    monitor = monitor_of(nvml, clock)
    for _ in range(4 * 120):
        assert monitor.sample().gpus == ()
        clock.forward(0.25)
    assert nvml.calls["start"] == 6  # at 0, 2, 6, 14, 30, 62 s

    nvml.faults.clear()
    clock.forward(60)
    snapshot = monitor.sample()
    assert len(snapshot.gpus) == 1
    assert snapshot.gpu_note == ""


def test_a_driver_that_goes_away_takes_its_readings_along_and_may_come_back() -> None:
    nvml, clock = ScriptedNvml(), Clock()
    monitor = monitor_of(nvml, clock)
    assert len(monitor.sample().gpus) == 1
    nvml.faults["memory"] = NvmlFault.NOT_STARTED
    clock.forward(0.25)
    gone = monitor.sample()
    assert gone.gpus == ()
    assert gone.gpu_note == "The NVIDIA driver stopped answering."
    assert nvml.sessions == 0

    del nvml.faults["memory"]
    clock.forward(1)
    assert monitor.sample().gpus == ()  # waits its 2 s
    clock.forward(1)
    assert len(monitor.sample().gpus) == 1
    assert nvml.sessions == 1


def test_one_lost_gpu_does_not_hide_the_other() -> None:
    nvml, clock = ScriptedNvml(gpus=2), Clock()
    monitor = monitor_of(nvml, clock)
    assert [gpu.number for gpu in monitor.sample().gpus] == [0, 1]
    nvml.lost.add(0)
    for _ in range(20):
        clock.forward(1)
        snapshot = monitor.sample()
        assert [gpu.number for gpu in snapshot.gpus] == [1]
        assert snapshot.gpu_note == "GPU 0 stopped answering."
    nvml.lost.clear()
    clock.forward(60)
    assert [gpu.number for gpu in monitor.sample().gpus] == [0, 1]
    assert nvml.sessions == 1


def test_names_from_the_driver_are_data() -> None:
    nvml = ScriptedNvml(
        product="RTX\x1b[31m 3060\u202e\n",
        running=((7, 50 * MIB), (8, None), (9, 90 * MIB), (7, 60 * MIB)),
        programs={7: "/usr/lib/xorg/Xorg :0 -auth\x1b", 9: "[red]llama\x9bserver"},
    )
    (gpu,) = monitor_of(nvml, Clock()).sample().gpus
    assert gpu.name == "RTX[31m 3060"
    assert gpu.processes == (
        GpuProcess(9, "[red]llamaserver", 90 * MIB),
        GpuProcess(7, "Xorg", 60 * MIB),
        GpuProcess(8, "", None),
    )


def test_the_names_of_running_programs_are_asked_once() -> None:
    nvml, clock = ScriptedNvml(running=((7, MIB),), programs={7: "Xorg"}), Clock()
    monitor = monitor_of(nvml, clock)
    for _ in range(10):
        monitor.sample()
        clock.forward(2)
    assert nvml.calls["processes"] == 10
    assert nvml.calls["process_name"] == 1


def test_closing_ends_the_session_once_and_for_all() -> None:
    nvml, clock = ScriptedNvml(), Clock()
    monitor = monitor_of(nvml, clock)
    monitor.sample()
    monitor.close()
    monitor.close()
    assert nvml.sessions == 0
    clock.forward(100)
    assert monitor.sample().gpus == ()
    assert nvml.calls["start"] == 1


def test_closing_a_monitor_whose_driver_is_gone_does_not_raise() -> None:
    nvml = ScriptedNvml(faults={"stop": NvmlFault.NOT_STARTED})
    monitor = monitor_of(nvml, Clock())
    monitor.sample()
    monitor.close()


def test_this_very_machine_can_be_read() -> None:
    monitor = HardwareMonitor()
    try:
        first, second = monitor.sample(), monitor.sample()
    finally:
        monitor.close()
    assert first.host.cpu_percent is None
    assert second.host.cpu_cores >= 1
    assert second.host.cpu_name
    assert 0 < (second.host.memory_available_bytes or 0) <= (second.host.memory_total_bytes or 0)
    assert bool(second.gpus) or second.gpu_note.endswith(".")


def test_clocks_link_and_what_holds_them_down_are_told() -> None:
    nvml = ScriptedNvml(throttle=0x1 | 0x4 | 0x20, cut={0: Mig.PARENT})
    gpu = monitor_of(nvml, Clock()).sample().gpus[0]
    assert gpu.cuda == "13.1"
    assert gpu.clocks == GpuClocks(1777, 2100, 7501, 7501)
    assert gpu.pcie == PcieLink(4, 8, 4, 16)
    assert gpu.throttled_by == ("the power limit", "heat")
    assert gpu.mig is Mig.PARENT


def test_every_reason_that_slows_a_card_has_a_name() -> None:
    nvml = ScriptedNvml(throttle=0x7FF)
    assert monitor_of(nvml, Clock()).sample().gpus[0].throttled_by == (
        "the power limit",
        "a hardware slowdown",
        "heat",
        "heat, in hardware",
        "the power supply",
        "the board's limit",
        "the reliability voltage",
    )


def test_an_idle_card_is_not_throttled() -> None:
    assert monitor_of(ScriptedNvml(throttle=0x1), Clock()).sample().gpus[0].throttled_by == ()


def test_what_the_driver_does_not_tell_is_none() -> None:
    missing: dict[str, NvmlFault] = dict.fromkeys(
        ("cuda_version", "clocks", "pcie", "throttle_bits", "is_persistent"), NvmlFault.UNSUPPORTED
    )
    gpu = monitor_of(ScriptedNvml(faults=missing), Clock()).sample().gpus[0]
    assert (gpu.cuda, gpu.clocks, gpu.pcie, gpu.throttled_by) == (None, None, None, None)
    assert gpu.persistent is None


def test_what_a_process_holds_is_asked_anew() -> None:
    clock, nvml = Clock(), ScriptedNvml(gpus=2, running=((7, 300 * MIB), (8, 50 * MIB)))
    monitor = HardwareMonitor(nvml, clock, QuietHost())
    assert monitor.held_by(7) == {}  # no session yet
    monitor.sample()
    nvml.running = ((7, 900 * MIB), (7, 900 * MIB), (9, None))
    assert monitor.held_by(7) == {0: 900 * MIB, 1: 900 * MIB}
    assert monitor.held_by(8) == {}
    assert monitor.held_by(9) == {}
    nvml.lost = {0}
    assert monitor.held_by(7) == {1: 900 * MIB}
    monitor.close()
    assert monitor.held_by(7) == {}
