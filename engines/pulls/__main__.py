"""``python -m modeldeck.engines.pulls``: the process that owns pulls. Decks start it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modeldeck.engines.pulls.home import PullsHome


def main(words: list[str]) -> int:
    """Own pulls until there is nothing to do; 0 also when another process does.

    Args:
        words: ``--apart`` to go on as a process of its own; a number of seconds to be idle for.
    """
    if "--apart" in words and os.fork():
        os._exit(0)
    from modeldeck.engines.pulls.home import PullsHome

    home = PullsHome()
    lock = home.own()
    if lock is None:
        return 0
    try:
        _own(home, lock, [float(word) for word in words if word != "--apart"])
    finally:
        os.close(lock)
    return 0


def _own(home: PullsHome, lock: int, idle_seconds: list[float]) -> None:
    import asyncio  # only the one that stays needs this and what follows: 150 ms

    from modeldeck.engines.pulls.owning import log_to, serve
    from modeldeck.engines.pulls.service import IDLE_SECONDS

    log_to(home)
    asyncio.run(serve(home, lock, *(idle_seconds or [IDLE_SECONDS])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
