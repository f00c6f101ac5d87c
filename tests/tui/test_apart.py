"""Calls in threads that nobody waits for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from modeldeck.tui.apart import call_apart

LEFT_AT_ONCE = """
import asyncio, time
from modeldeck.tui.apart import call_apart

async def leave():
    await asyncio.wait({asyncio.ensure_future(call_apart(lambda: time.sleep(600)))}, timeout=0.1)

asyncio.run(leave())
"""


async def test_what_is_returned_or_raised_comes_back() -> None:
    def fails() -> int:
        raise KeyError("x")

    assert await call_apart(lambda: 7) == 7
    with pytest.raises(KeyError):
        await call_apart(fails)


async def test_a_cancelled_call_is_unheard() -> None:
    go = threading.Event()
    waiting = asyncio.ensure_future(call_apart(go.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go.set()
    await asyncio.sleep(0.05)


def test_a_program_that_ends_does_not_wait_for_one() -> None:
    subprocess.run([sys.executable, "-c", LEFT_AT_ONCE], check=True, timeout=60)
