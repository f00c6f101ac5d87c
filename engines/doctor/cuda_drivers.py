"""Which driver a build for CUDA needs. Pure, beside its table ``cuda_drivers.csv``."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_VERSION: Final = re.compile(r"\d{1,4}(?:\.\d{1,4}){1,3}")


class Cuda(NamedTuple):
    """A version of CUDA; ``minor`` is None where a build tells the major version alone."""

    major: int
    minor: int | None = None

    def __str__(self) -> str:
        """``12.4``, or ``12``."""
        return f"{self.major}" if self.minor is None else f"{self.major}.{self.minor}"


class Needed(NamedTuple):
    """Drivers that a CUDA needs, as people write them; empty where nobody says.

    Attributes:
        at_all: from this one on it runs, without what is compiled at the start.
        in_full: from this one on it runs everything.
    """

    at_all: str = ""
    in_full: str = ""


class _Row(NamedTuple):
    kind: str
    cuda: str
    linux: str
    windows: str


@cache
def _table() -> tuple[_Row, ...]:
    text = Path(__file__).with_name("cuda_drivers.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(_Row(**row) for row in csv.DictReader(lines))


def needed_driver(cuda: Cuda, *, windows: bool = False) -> Needed:
    """What ``cuda`` needs.

    A version newer than the table needs at least what the newest one of its family does.

    Args:
        cuda: what a build was made with.
        windows: the driver is a Windows driver, which WSL's is too.
    """

    def driver_of(row: _Row) -> str:
        return row.windows if windows else row.linux

    at_all = in_full = ""
    for row in _table():
        if row.kind == "family" and row.cuda == str(cuda.major):
            at_all = driver_of(row)
        major, _, minor = row.cuda.partition(".")
        if row.kind == "toolkit" and int(major) == cuda.major and cuda.minor is not None:
            in_full = driver_of(row) if int(minor) <= cuda.minor else in_full
    return Needed(at_all, in_full)


def is_older(driver: str, than: str) -> bool:
    """Whether ``driver`` is older; False where one of the two is no version."""
    ours, theirs = _numbers(driver), _numbers(than)
    return bool(ours and theirs) and ours < theirs


def _numbers(version: str) -> tuple[int, ...]:
    found = _VERSION.match(version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
