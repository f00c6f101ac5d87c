"""The host: names, memory under a control group's limit, and the memory of one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.hardware.groups import GroupMemory, group_cores, group_memory
from modeldeck.engines.hardware.host import HostReader, cpu_name, process_memory
from modeldeck.engines.text import clean_line


def test_the_processor_is_named_as_its_maker_does() -> None:
    x86 = "processor\t: 0\nmodel\t\t: 97\nmodel name\t: AMD  Ryzen 9 7900X\x1b\n\nprocessor\t: 1\n"
    assert cpu_name(x86) == "AMD Ryzen 9 7900X"
    raspberry = "processor\t: 0\nBogoMIPS\t: 108.00\nModel\t\t: Raspberry Pi 5\n"
    assert cpu_name(raspberry) == "Raspberry Pi 5"
    assert cpu_name("") == ""


@given(st.text())
def test_no_text_upsets_the_search_for_a_name(text: str) -> None:
    name = cpu_name(text)
    assert name == clean_line(name)


def group(
    folder: Path, *, limit: str, used: int, cache: int, version: int = 2, cache_total: int = 0
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else V1_NAMES
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(
        f"anon 5\ninactive_file {cache}\ntotal_inactive_file {cache_total}\n"
    )


V1_NAMES = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def test_a_limit_on_our_group_is_what_there_is(tmp_path: Path) -> None:
    group(tmp_path / "box", limit="1000", used=700, cache=200)
    assert group_memory("0::/box\n", tmp_path) == GroupMemory(1000, 500)


def test_a_limit_higher_up_binds_too(tmp_path: Path) -> None:
    group(tmp_path / "user", limit="1000", used=950, cache=0)
    group(tmp_path / "user" / "shell", limit="900", used=100, cache=0)
    assert group_memory("0::/user/shell\n", tmp_path) == GroupMemory(1000, 50)


def test_no_limit_is_none(tmp_path: Path) -> None:
    group(tmp_path / "box", limit="max", used=700, cache=200)
    assert group_memory("0::/box\n", tmp_path) is None
    assert group_memory("", tmp_path) is None
    assert group_memory("0::/elsewhere\n", tmp_path) is None


def test_the_older_hierarchy_counts_its_page_cache_by_another_name(tmp_path: Path) -> None:
    group(
        tmp_path / "memory" / "docker", limit="1000", used=700, cache=1, cache_total=300, version=1
    )
    text = "5:devices:/docker\n4:cpu,memory:/docker\n0::/\n"
    assert group_memory(text, tmp_path) == GroupMemory(1000, 600)


def test_inside_a_container_the_root_of_the_mount_is_the_container(tmp_path: Path) -> None:
    group(tmp_path / "memory", limit="1000", used=700, cache=0, version=1)
    assert group_memory("4:memory:/docker/abc\n", tmp_path) == GroupMemory(1000, 300)


def test_more_cache_than_use_leaves_no_more_than_the_limit(tmp_path: Path) -> None:
    group(tmp_path / "box", limit="1000", used=100, cache=400)
    assert group_memory("0::/box\n", tmp_path) == GroupMemory(1000, 1000)


def quota(folder: Path, work: str, period: str = "100000", *, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (folder / "cpu.max").write_text(f"{work} {period}\n")
    else:
        (folder / "cpu.cfs_quota_us").write_text(f"{work}\n")
        (folder / "cpu.cfs_period_us").write_text(f"{period}\n")


def test_a_quota_on_our_group_or_above_is_the_cores_we_have(tmp_path: Path) -> None:
    quota(tmp_path / "user", "150000")
    quota(tmp_path / "user" / "shell", "max")
    assert group_cores("0::/user/shell\n", tmp_path) == 1.5
    quota(tmp_path / "user" / "shell", "50000")
    assert group_cores("0::/user/shell\n", tmp_path) == 0.5
    quota(tmp_path / "user" / "shell", "400000")
    assert group_cores("0::/user/shell\n", tmp_path) == 1.5
    assert group_cores("0::/elsewhere\n", tmp_path) is None


def test_the_older_hierarchy_has_a_quota_too(tmp_path: Path) -> None:
    text = "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n"
    quota(tmp_path / "cpu,cpuacct" / "docker" / "a", "-1", version=1)
    assert group_cores(text, tmp_path) is None
    quota(tmp_path / "cpu,cpuacct" / "docker", "200000", version=1)
    assert group_cores(text, tmp_path) == 2
    quota(tmp_path / "cpu", "50000", version=1)  # in a container the mount is the container
    assert group_cores(text, tmp_path) == 0.5


def test_a_quota_that_is_no_number_is_none(tmp_path: Path) -> None:
    for work, period in (("", ""), ("x", "y"), ("100000", "0"), ("1 2", "3")):
        quota(tmp_path, work, period)
        assert group_cores("0::/\n", tmp_path) is None


def test_the_first_reading_has_no_processor_share_and_the_next_has_one() -> None:
    reader = HostReader()
    assert reader.read().cpu_percent is None
    busy = sum(number * number for number in range(400_000))
    assert busy > 0
    share = reader.read().cpu_percent
    assert share is not None
    assert 0 < share <= 100


def test_a_living_process_has_memory_and_a_finished_one_has_none() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout
        child.stdout.readline()
        assert (process_memory(child.pid) or 0) > 1_000_000
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process_memory(child.pid) is None  # ended, not yet reaped
    finally:
        child.kill()
        child.communicate(timeout=30)
    assert process_memory(child.pid) is None


def test_a_number_that_is_no_process_has_no_memory() -> None:
    assert process_memory(-1) is None
    assert process_memory(1 << 62) is None
