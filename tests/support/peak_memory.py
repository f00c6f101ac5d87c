"""The most memory a program held, as the kernel counts it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A program starts with the peak of whoever started it, so something small has to.
_STARTER = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, capture_output=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
texts = [text.decode(errors="replace") for text in (done.stdout, done.stderr)]
print(json.dumps([done.returncode, peak, *texts]))
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that has ended."""

    code: int
    peak_bytes: int
    output: str
    errors: str


def run_and_weigh(
    command: Sequence[str], environ: Mapping[str, str], patience_s: float = 120
) -> Ran:
    """Run ``command`` to its end. Raises TimeoutExpired when that takes longer."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _STARTER, *command],
        env=environ,
        capture_output=True,
        check=True,
        timeout=patience_s,
    )
    return Ran(*json.loads(done.stdout))
