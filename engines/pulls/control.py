"""What steers a pull from outside while it runs: stop it, and how fast it may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from modeldeck.engines.pulls.errors import Stopped

_BURST_SECONDS: Final = 0.25
_STEP_SECONDS: Final = 0.25
"""How soon a changed limit counts."""


class Bandwidth:
    """Bytes a second that all who share it may take together; a token bucket."""

    def __init__(
        self,
        bytes_per_second: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with a limit; None for none."""
        self._lock = threading.Lock()
        self._clock = clock
        self._limit = bytes_per_second
        self._free_at = clock()

    def set(self, bytes_per_second: int | None) -> None:
        """Another limit from now on; None for none."""
        with self._lock:
            self._limit = bytes_per_second
            self._free_at = self._clock()

    def take(self, count: int) -> float:
        """Seconds to wait after so many bytes were taken."""
        with self._lock:
            if not self._limit:
                return 0.0
            now = self._clock()
            self._free_at = max(self._free_at, now - _BURST_SECONDS) + count / self._limit
            return max(0.0, self._free_at - now)

    def wait(self) -> float:
        """Seconds to wait still: none once the limit was changed."""
        with self._lock:
            return max(0.0, self._free_at - self._clock()) if self._limit else 0.0


class Control:
    """Stops a pull and paces it. For several threads.

    Attributes:
        bandwidth: what it may take.
    """

    def __init__(self, bandwidth: Bandwidth | None = None) -> None:
        self.bandwidth = bandwidth or Bandwidth()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._ends: set[Callable[[], None]] = set()

    @property
    def stopped(self) -> bool:
        """It is to end."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End the pull soon: it keeps what has come and raises ``Stopped``."""
        with self._lock:
            self._stopped.set()
            ends = tuple(self._ends)
        for end in ends:
            end()

    def check(self) -> None:
        """Raise ``Stopped`` when it is to end."""
        if self._stopped.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait so long. Raises ``Stopped`` as soon as it is to end."""
        if seconds > 0 and self._stopped.wait(seconds):
            raise Stopped

    def pace(self, count: int) -> None:
        """So many bytes were taken: wait as the bandwidth says. Raises ``Stopped``."""
        wait = self.bandwidth.take(count)
        while wait > 0:
            self.sleep(min(wait, _STEP_SECONDS))
            wait = self.bandwidth.wait()

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Generator[None]:
        """While the block runs a stop calls ``end`` too, from the thread that stops."""
        with self._lock:
            self._ends.add(end)
        try:
            if self.stopped:
                end()
            yield
        finally:
            with self._lock:
                self._ends.discard(end)
