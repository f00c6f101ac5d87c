"""One table of everything measured, at the end of the run; ``--write`` puts it into the docs."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.support.measures import Measure, Sense, table

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_MARKS = re.compile(r"(<!-- measured: begin -->\n).*?(<!-- measured: end -->)", re.DOTALL)
MEASURES = pytest.StashKey[list[Measure]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--write``."""
    parser.addoption(
        "--write", action="store_true", help="write the table into docs/performance.md"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin with an empty table."""
    config.stash[MEASURES] = []


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Puts a measure into the table; the run fails at its end when a target is missed."""

    def take(
        what: str,
        *values: float,
        unit: str = "×",
        sense: Sense = "at most",
        limit: float | None = None,
        worst: bool = False,
    ) -> None:
        measure = Measure(what, values, unit, sense, limit, worst)
        request.config.stash[MEASURES].append(measure)

    return take


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A home whose settings name a folder of models."""
    machine = Machine(tmp_path / "home")
    machine.models.mkdir(parents=True)
    machine.runtime.mkdir(mode=0o700)
    machine.settings('model_dirs = ["~/models"]\n')
    return machine


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A missed target is a failure, once everything is measured."""
    missed = any(not measure.met for measure in session.config.stash[MEASURES])
    if missed and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table, and write it when that was asked for."""
    measures = config.stash[MEASURES]
    if not measures:
        return
    text = f"{table(measures)}\n\n{_conditions()}"
    terminalreporter.write_sep("=", "measured")
    terminalreporter.write_line(text)
    if config.getoption("--write"):
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(_MARKS.sub(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", page), encoding="utf-8")
        terminalreporter.write_line(f"written to {PAGE.name}")


def _conditions() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()},"
        f" {cores} cores, load {os.getloadavg()[0]:.1f} at the end of the run."
    )
