"""Every reader is handed damaged input: it reads it or refuses it, whatever was damaged."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

MOST_BYTES = 16 << 20
EVIL = (b"\xff" * 8, b"\x00" * 8, b"\xff\xff\xff\x7f", b"\x1b[31m", b"[[[[[[[[", b'{"a":' * 9)


@st.composite
def damaged(draw: st.DrawFn, seed: bytes) -> bytes:
    """A seed with up to six wounds: bytes overwritten, put in, taken out, or the end cut off."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        new = draw(st.one_of(st.binary(min_size=1, max_size=12), st.sampled_from(EVIL)))
        match draw(st.sampled_from(("write", "insert", "remove", "cut"))):
            case "write":
                data[at : at + len(new)] = new
            case "insert":
                data[at:at] = new
            case "remove":
                del data[at : at + draw(st.integers(1, 64))]
            case _:
                del data[at:]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_read(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_damaged_input_is_read_or_refused(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    target.run(data.draw(damaged(data.draw(st.sampled_from(target.seeds)))))


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=600))
def test_arbitrary_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_cut_at_any_byte_takes_little_memory(name: str) -> None:
    for seed in TARGETS[name].seeds:
        whole = seed[:3000]
        tracemalloc.start()
        try:
            for length in range(0, len(whole), max(1, len(whole) // 400)):
                TARGETS[name].run(whole[:length])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < MOST_BYTES
