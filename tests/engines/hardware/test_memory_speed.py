"""The speed of memory: really measured, and by the clock it is given."""

from __future__ import annotations

from itertools import count

from modeldeck.engines.hardware.memory_speed import measure_memory


def test_this_machine_moves_some_gigabytes_a_second() -> None:
    assert 2e8 < measure_memory(8 << 20) < 5e12


def test_half_the_time_is_twice_the_speed() -> None:
    slow, fast = count(0.0, 2.0), count(0.0, 1.0)
    block = 1 << 20
    measured = measure_memory(block, clock=lambda: next(fast))
    assert measured == 2 * measure_memory(block, clock=lambda: next(slow))
    # Each thread reads its block and writes another, once a pass.
    assert measured % (2 * block) == 0
