"""Which bytes of a file are here, and what is kept of that through any end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.pulls.control import Bandwidth, Control
from modeldeck.engines.pulls.errors import Stopped
from modeldeck.engines.pulls.journal import (
    Head,
    boot_line,
    head_line,
    part_line,
    read_journal,
)
from modeldeck.engines.pulls.parts import Parts, part_bytes_for
from modeldeck.engines.units import GIB, MIB

BOOT = "this boot"
HEAD = Head(100 * MIB, 8 * MIB, "etag")


@pytest.mark.parametrize(
    ("size_bytes", "part_bytes"),
    [(1, 8 * MIB), (256 * MIB, 16 * MIB), (256 * MIB + 1, 17 * MIB), (40 * GIB, 64 * MIB)],
)
def test_parts_are_neither_tiny_nor_huge(size_bytes: int, part_bytes: int) -> None:
    assert part_bytes_for(size_bytes) == part_bytes


@given(st.integers(1, 1000), st.integers(1, 300), st.data())
def test_parts_are_taken_once_and_end_as_the_whole(
    size: int, part: int, data: st.DataObject
) -> None:
    parts = Parts(size, part, {0: min(3, part, size)})
    taken: dict[int, int] = {}
    while not parts.complete:
        while (one := parts.take()) is not None:
            assert one not in taken
            taken[one] = parts.done(one)
            if len(taken) == 4:
                break
        one = data.draw(st.sampled_from(sorted(taken)))
        count = data.draw(st.integers(1, parts.length(one) - parts.done(one)))
        parts.add(one, count)
        before = sum(parts.length(p) for p in range(one) if p < one)
        assert parts.frontier <= before + parts.done(one) or parts.done(0) == parts.length(0)
        if parts.done(one) == parts.length(one):
            parts.give_back(one)
            del taken[one]
    assert parts.frontier == parts.done_bytes == size


@given(st.dictionaries(st.integers(-2, 40), st.integers(-5, 300)))
def test_what_a_broken_journal_claims_is_not_believed_beyond_the_file(
    claimed: dict[int, int],
) -> None:
    parts = Parts(1000, 100, claimed)

    assert 0 <= parts.frontier <= parts.done_bytes <= 1000


def test_what_was_written_counts_in_the_same_boot_and_what_was_synced_in_all() -> None:
    journal = head_line(HEAD) + boot_line("an earlier boot")
    journal += part_line("w", 0, 500) + part_line("s", 0, 300) + part_line("w", 1, 700)
    journal += boot_line(BOOT) + part_line("w", 2, 900)

    kept = read_journal(journal, BOOT)

    assert kept is not None
    assert kept.head == HEAD
    assert kept.done == {0: 300, 2: 900}


@given(st.integers(0, 400), st.binary(max_size=40))
def test_a_journal_cut_anywhere_claims_no_more_than_was_written(cut: int, rubbish: bytes) -> None:
    whole = head_line(HEAD) + boot_line(BOOT)
    whole += b"".join(part_line("w", part, 100 + part) for part in range(9))

    kept = read_journal(whole[:cut] + rubbish, BOOT)

    assert kept is None or all(count == 100 + part for part, count in kept.done.items())


@given(st.binary(max_size=300))
def test_rubbish_is_no_journal(data: bytes) -> None:
    assert read_journal(data, BOOT) is None


def test_a_journal_goes_on_after_half_a_line() -> None:
    journal = head_line(HEAD) + boot_line(BOOT) + part_line("w", 0, 5)[:-4]

    kept = read_journal(journal + b"\n" + boot_line(BOOT) + part_line("w", 1, 6), BOOT)

    assert kept is not None
    assert kept.done == {1: 6}


def test_a_limit_lets_through_so_many_bytes_a_second() -> None:
    now = [0.0]
    bandwidth = Bandwidth(1000, clock=lambda: now[0])
    for _ in range(100):
        now[0] += bandwidth.take(100)
    assert 9.0 <= now[0] <= 10.0

    bandwidth.set(None)
    assert bandwidth.take(1 << 30) == 0


def test_a_pause_does_not_save_up_bandwidth() -> None:
    now = [0.0]
    bandwidth = Bandwidth(1000, clock=lambda: now[0])
    now[0] = 3600.0
    bandwidth.take(5000)
    assert bandwidth.take(1) > 4


def test_a_stop_ends_waits_and_what_is_under_way() -> None:
    control, ended = Control(), list[str]()
    with control.ending(lambda: ended.append("one")):
        control.stop()
    assert ended == ["one"]
    with pytest.raises(Stopped):
        control.sleep(60)
    with control.ending(lambda: ended.append("late")):
        pass
    assert ended == ["one", "late"]
