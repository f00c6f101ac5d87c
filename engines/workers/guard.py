"""Start a program that cannot outlive its parent.

Run as a script: ``python -I -S guard.py PARENT_PID PROGRAM [ARGUMENT …]``. On Linux the kernel is
asked to kill this process when the parent dies (``PR_SET_PDEATHSIG``; it survives ``exec``), then
the program takes its place. Elsewhere the program is simply started.
"""

from __future__ import annotations

import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def main(words: list[str]) -> None:
    """Bind this process to its parent and become the program."""
    parent_pid, program = int(words[0]), words[1:]
    if sys.platform == "linux":
        import ctypes  # 8 ms

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:
            raise SystemExit("the parent died before the program began")
    os.execvp(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
