"""The doctor's rounds: the facts of this machine, and what was found in words."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from modeldeck.engines.choice import EngineStatus
from modeldeck.engines.doctor.checks import CHECKS, examine
from modeldeck.engines.doctor.look import facts_now
from modeldeck.engines.doctor.types import Finding, Severity
from modeldeck.engines.paths import data_dir
from modeldeck.tui.services import Services

GLYPHS: Final = {Severity.ERROR: "✕", Severity.WARNING: "!", Severity.ADVICE: "·"}


async def examine_machine(services: Services) -> tuple[Finding, ...]:
    """Ask every engine, look at the machine, and say what is wrong with it; the worst first."""
    engines, problems = await asyncio.to_thread(services.find_engines)
    probes = await asyncio.gather(*(engine.probe() for engine in engines))
    statuses = [EngineStatus(e.info, probe) for e, probe in zip(engines, probes, strict=True)]

    def look() -> tuple[Finding, ...]:
        hardware, _ = services.sample(None)
        skipped = services.unreadable()
        return examine(
            facts_now(
                hardware=hardware,
                engines=statuses,
                places=services.place_paths,
                unreadable=(skipped.count, skipped.first),
                data=data_dir(),
                environ=os.environ,
                encoding=(sys.__stdout__ and sys.__stdout__.encoding) or "utf-8",
                settings_problems=(*services.problems, *problems),
            )
        )

    return await asyncio.to_thread(look)


def record(findings: Sequence[Finding]) -> dict[str, object]:
    """The stable keys of ``doctor --json``."""
    return {
        "checks": list(CHECKS),
        "findings": [
            {
                "check": finding.check,
                "severity": finding.severity.value,
                "cause": finding.cause,
                "next_step": finding.next_step,
            }
            for finding in findings
        ],
    }


def summary(findings: Sequence[Finding]) -> str:
    """How it stands, in a sentence."""
    if not findings:
        return f"Nothing is wrong: {len(CHECKS)} checks."
    counts = [
        f"{count} {severity.value}{'s' if count != 1 and severity is not Severity.ADVICE else ''}"
        for severity in Severity
        if (count := sum(finding.severity is severity for finding in findings))
    ]
    return f"{', '.join(counts)} in {len(CHECKS)} checks."


def rounds(findings: Iterable[Finding], width: int | None = None) -> list[tuple[str, str]]:
    """Each finding as two texts: what it is, with its severity in words, and the next step.

    Within ``width`` cells lines are broken between words, and what goes on is set in.
    """
    return [
        (
            _wrapped(f"{GLYPHS[f.severity]} {f.severity.value}: ", f.cause, width),
            _wrapped("    next: ", f.next_step, width),
        )
        for f in findings
    ]


def _wrapped(label: str, text: str, width: int | None) -> str:
    if width is None:
        return label + text
    import textwrap

    inset = len(label) if label.startswith(" ") else 2
    return textwrap.fill(
        text,
        max(width, 2 * inset + 1),
        initial_indent=label,
        subsequent_indent=" " * inset,
        break_long_words=False,
        break_on_hyphens=False,
    )
