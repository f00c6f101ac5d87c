"""How fast this machine's memory is read: what decoding on the processor hangs on.

Measured by copying, with several threads, blocks that no cache holds. A copy reads each byte and
writes it elsewhere; glibc writes large ones past the caches, so that both directions count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

_BLOCK_BYTES: Final = 64 << 20
_PASSES: Final = 3
_MOST_THREADS: Final = 4
"""Two threads saturate a desktop's two channels, four most servers' share of one process."""


def measure_memory(
    block_bytes: int = _BLOCK_BYTES, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Bytes per second that memory moves, the best of three passes.

    Takes some 0.3 s and 128 MiB for each of at most four threads; ctypes lets go of the
    interpreter while it copies, so nothing else has to wait.

    Raises:
        MemoryError: there is no room for the blocks.
    """
    import ctypes  # 3 ms

    threads = max(1, min(_MOST_THREADS, len(os.sched_getaffinity(0)) if _HAS_AFFINITY else 2))
    blocks = [
        (ctypes.create_string_buffer(block_bytes), ctypes.create_string_buffer(block_bytes))
        for _ in range(threads)
    ]

    def touch(index: int) -> None:
        # Pages that were never written all read from one page of zeros.
        source, target = blocks[index]
        ctypes.memset(source, 1, block_bytes)
        ctypes.memset(target, 2, block_bytes)

    def copy(index: int) -> None:
        source, target = blocks[index]
        ctypes.memmove(target, source, block_bytes)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(touch, range(threads)))
        best = 0.0
        for _ in range(_PASSES):
            began = clock()
            list(pool.map(copy, range(threads)))
            taken = clock() - began
            best = max(best, 2 * block_bytes * threads / max(taken, 1e-9))
    return best


_HAS_AFFINITY: Final = hasattr(os, "sched_getaffinity")
