"""A process that hangs is told from one that works, however slowly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from modeldeck.engines.workers.pulse import Pulse


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    """A process that does nothing at all."""
    code = "import sys; print(flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield psutil.Process(process.pid)
        process.kill()


def test_nothing_for_long_enough_is_silence_and_any_word_ends_it(sleeper: psutil.Process) -> None:
    clock = Clock()
    pulse = Pulse(sleeper.pid, 5.0, clock)
    assert not pulse.silent(0)
    sleeper.suspend()
    pulse.silent(0)
    clock.now = 4.9
    assert not pulse.silent(0)
    clock.now = 5.0
    assert pulse.silent(0)
    assert not pulse.silent(1)
    clock.now = 10.0
    assert pulse.silent(1)


def test_one_that_computes_is_not_silent() -> None:
    clock = Clock()
    pulse = Pulse(psutil.Process().pid, 5.0, clock)
    for _ in range(3):
        before = psutil.Process().cpu_times().user
        while psutil.Process().cpu_times().user == before:
            sum(range(10_000))
        clock.now += 5.0
        assert not pulse.silent(0)


def test_one_that_has_gone_is_silent(sleeper: psutil.Process) -> None:
    clock = Clock()
    pulse = Pulse(sleeper.pid, 5.0, clock)
    sleeper.kill()
    sleeper.wait()
    pulse.silent(0)
    clock.now = 5.0
    assert pulse.silent(0)
