"""The first look through the model folders, begun while the face is still being imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Generic, TypeVar

Step = TypeVar("Step")
Scan = Callable[[Callable[[], bool]], Iterable[Step]]
_LOOK_S = 0.1


class EarlyScan(Generic[Step]):
    """Reads in a thread of its own and keeps what it finds for who asks later.

    The thread ends with the program, even where a folder does not answer.

    Attributes:
        newest: what was found last; None before anything was.
    """

    def __init__(self, scan: Scan[Step]) -> None:
        self._scan = scan
        self._stopped = Event()
        self._found: SimpleQueue[Step | Exception | None] = SimpleQueue()
        self.newest: Step | None = None
        Thread(target=self._read, name="early scan", daemon=True).start()

    def _read(self) -> None:
        try:
            for step in self._scan(self._stopped.is_set):
                self.newest = step
                self._found.put(step)
            self._found.put(None)
        except Exception as error:
            self._found.put(error)

    def stop(self) -> None:
        """Read no further."""
        self._stopped.set()

    def steps(self, should_stop: Callable[[], bool]) -> Iterator[Step]:
        """What was found so far, then what comes; to be asked once. Raises what the scan raised."""
        while not should_stop():
            try:
                step = self._found.get(timeout=_LOOK_S)
            except Empty:
                continue
            if isinstance(step, Exception):
                raise step
            if step is None:
                return
            yield step
        self.stop()
