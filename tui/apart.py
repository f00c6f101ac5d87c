"""Calls that may block for long, in threads that nobody waits for when the deck is left."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def call_apart(function: Callable[[], T]) -> T:
    """What ``function`` returns or raises, from a thread of its own.

    ``asyncio.to_thread`` would have the deck's end wait for a server that does not answer. When
    the caller is cancelled the thread goes on unheard: give it a way to notice.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(value: T) -> None:
        if not answer.done():
            answer.set_result(value)

    def fail(error: BaseException) -> None:
        if not answer.done():
            answer.set_exception(error)

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            try:
                value = function()
            except BaseException as error:  # raised again where it is awaited
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(tell, value)

    threading.Thread(target=run, name="apart", daemon=True).start()
    return await answer
