"""Coverage-guided fuzzing with atheris: ``make fuzz`` runs every target and prints a table.

Each target runs in a process of its own, because libFuzzer ends the process it runs in. What it
found that was new is kept in ``build/fuzz/TARGET`` and is where the next run begins; an input that
breaks a target is kept beside it and its traceback is printed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS

FOLDER = Path("build/fuzz")
MOST_INPUT_BYTES = 16_384
MOST_MEGABYTES = 512
SLOWEST_INPUT_S = 5


@dataclass(frozen=True, slots=True)
class Result:
    """One target's run. Counts are libFuzzer's."""

    target: str
    seconds: float
    inputs: int
    features: int
    corpus: int
    peak_megabytes: int
    sound: bool

    def row(self) -> str:
        """A row of the Markdown table."""
        verdict = "nothing broke" if self.sound else "BROKEN"
        return (
            f"| {self.target} | {self.seconds:.0f} s | {self.inputs:,} | {self.features:,} "
            f"| {self.corpus:,} | {self.peak_megabytes} MB | {verdict} |"
        )


TABLE_HEAD = (
    "| target | time | inputs | features covered | kept inputs | peak memory | result |\n"
    "|---|---|---|---|---|---|---|"
)


def fuzz(target: str, seconds: int) -> Result:
    """Run one target for ``seconds`` in a child process."""
    corpus = FOLDER / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[target].seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    begin = time.monotonic()
    child = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fuzz.atheris_target",
            target,
            str(corpus),
            f"-max_total_time={seconds}",
            f"-max_len={MOST_INPUT_BYTES}",
            f"-rss_limit_mb={MOST_MEGABYTES}",
            f"-timeout={SLOWEST_INPUT_S}",
            f"-artifact_prefix={FOLDER}/{target}-",
            "-print_final_stats=1",
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    output = child.stdout + child.stderr
    if child.returncode:
        print(output[-4000:], file=sys.stderr)
    last = [line for line in output.splitlines() if " ft: " in line][-1:]
    return Result(
        target,
        time.monotonic() - begin,
        _number(r"number_of_executed_units:\s*(\d+)", output),
        _number(r" ft: (\d+)", "".join(last)),
        _number(r" corp: (\d+)", "".join(last)),
        _number(r"peak_rss_mb:\s*(\d+)", output),
        child.returncode == 0,
    )


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def main() -> int:
    """Share the seconds among the targets asked for; 1 when one of them broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--seconds", type=int, default=600, help="for all of them together")
    options = parser.parse_args()
    print(TABLE_HEAD)
    sound = True
    for target in options.targets:
        result = fuzz(target, max(1, options.seconds // len(options.targets)))
        print(result.row(), flush=True)
        sound = sound and result.sound
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
