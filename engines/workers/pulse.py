"""Whether a child process shows any sign of life: a hung or stopped one shows none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import psutil

from modeldeck.engines.workers.process import bytes_read

PATIENCE_S: Final = 5.0
"""How long there may be no sign of life before the process counts as silent."""


class Pulse:
    """Watches one process. It lives while it computes, reads, or says something new."""

    def __init__(
        self,
        pid: int,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pid = pid
        self._patience_s = patience_s
        self._clock = clock
        self._signs: tuple[object, ...] = ()
        self._last_sign = clock()

    def silent(self, *said: object) -> bool:
        """Look at the process; whether nothing has changed for as long as we are patient.

        Args:
            said: what it has said so far, in any form that changes when it says more.
        """
        signs = (*said, _cpu_seconds(self._pid), bytes_read(self._pid))
        if signs != self._signs:
            self._signs, self._last_sign = signs, self._clock()
        return self._clock() - self._last_sign >= self._patience_s


def _cpu_seconds(pid: int) -> float | None:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return times.user + times.system
