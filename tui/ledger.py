"""Store calls away from the event loop, one after another in the order they were asked for."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.text import clean_line

_T = TypeVar("_T")
Failed = Callable[[ModeldeckError], None]


def _as_told(error: BaseException) -> ModeldeckError:
    if isinstance(error, ModeldeckError):
        return error
    return ModeldeckError(
        f"It could not be kept, in a way that was not foreseen: {clean_line(repr(error), 200)}.",
        "Try again; if it comes back, report it with the log.",
    )


class Ledger:
    """One thread that writes; the screen lives on while another program holds the database.

    What is owed is never given up: a call that failed is made again before each later one, and once
    more at the end.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._owed: list[Callable[[], None]] = []
        self._closed = False

    def run(self, call: Callable[[], None]) -> None:
        """Make a call whose outcome changes nothing: a later run of the program makes it again."""
        self._thread.submit(call)

    def keep(self, call: Callable[[], _T], done: Callable[[_T], None], failed: Failed) -> None:
        """Make a call; ``done`` or ``failed`` follows on this event loop. Needs a running one."""
        self._submit(call, done, failed)

    def owe(self, call: Callable[[], None], failed: Failed) -> None:
        """Make a call that must succeed some time; ``failed`` is told of its first failure only.

        ``call`` has to bear being made again after it failed halfway.
        """

        def attempt() -> None:
            try:
                call()
            except BaseException:
                self._owed.append(call)
                raise

        self._submit(attempt, lambda _: None, failed)

    def close(self) -> ModeldeckError | None:
        """Make the calls that still wait, try once more what is owed. Safe to call twice.

        Nothing is told any more. Returns why something stays unkept, if it does.
        """
        self._closed = True
        self._thread.shutdown(wait=True)
        return self._settle()

    def _submit(self, call: Callable[[], _T], done: Callable[[_T], None], failed: Failed) -> None:
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()

        def settled_then() -> _T:
            self._settle()
            return call()

        def deliver(future: Future[_T]) -> None:
            if self._closed:
                return
            error = future.exception()
            if error is not None:
                failed(_as_told(error))
            else:
                done(future.result())

        def hand_over(future: Future[_T]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(partial(deliver, future), context=context)

        self._thread.submit(settled_then).add_done_callback(hand_over)

    def _settle(self) -> ModeldeckError | None:
        owed, self._owed = self._owed, []
        problem: ModeldeckError | None = None
        for call in owed:
            try:
                call()
            except Exception as error:
                self._owed.append(call)
                problem = _as_told(error)
        return problem
