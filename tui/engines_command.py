"""``modeldeck engines``: which engines can be used here, and whether they work."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.trial import Trial
from modeldeck.engines.types import Device, Probe
from modeldeck.tui.engine_trials import trial_lines, trial_record, tried
from modeldeck.tui.printing import complain, emit, note, output_columns, say, table
from modeldeck.tui.services import Services


def run_engines(services: Services, options: argparse.Namespace) -> int:
    """Print the engines, or how those that were named do. Returns the exit code.

    Raises:
        EngineMissing: a name is no engine's.
    """
    engines, problems = services.find_engines()
    for problem in problems:
        complain(problem)
    if options.names:
        engines = tuple(services.engine(name) for name in options.names)
    return asyncio.run(_run(services, engines, options))


async def _run(services: Services, engines: Sequence[Engine], options: argparse.Namespace) -> int:
    try:
        probes = await asyncio.gather(*(engine.probe() for engine in engines))
        pairs = list(zip(engines, probes, strict=True))
        if options.test:
            return await _test(services, pairs, named=bool(options.names), as_json=options.json)
    finally:
        await services.close_engines()
    if options.json:
        return emit([engine_record(engine, probe) for engine, probe in pairs])
    _show(pairs)
    return 0


def engine_record(engine: Engine, probe: Probe) -> dict[str, object]:
    """One engine with the stable keys of ``engines --json``."""
    return {
        "name": engine.info.name,
        "title": engine.info.title,
        "available": probe.available,
        "installed": probe.installed,
        "build": probe.build,
        "where": probe.where,
        "formats": sorted(one.value for one in engine.info.formats),
        "devices": [
            {
                "name": device.name,
                "description": device.description,
                "memory_total_bytes": device.memory_total_bytes,
                "memory_free_bytes": device.memory_free_bytes,
            }
            for device in probe.devices
        ],
        "problem": probe.problem or None,
        "next_step": probe.next_step or None,
        "command": probe.command or None,
    }


def _show(pairs: Sequence[tuple[Engine, Probe]]) -> None:
    rows = [("ENGINE", "STATE", "BUILD", "WHERE", "DEVICES")]
    for engine, probe in pairs:
        state = "ready" if probe.available else "not usable"
        devices = ", ".join(map(_device, probe.devices))
        if not probe.installed:
            state, devices = "not installed", probe.command
        rows.append((engine.info.name, state, probe.build, probe.where, devices))
    say(table(rows, columns=output_columns()))
    for engine, probe in pairs:
        if not probe.available and probe.installed:
            complain(f"{engine.info.name}: {probe.problem}")
            note(f"next: {probe.next_step}")


def _device(device: Device) -> str:
    return f"{device.name} ({device.description})" if device.description else device.name


async def _test(
    services: Services, pairs: Sequence[tuple[Engine, Probe]], *, named: bool, as_json: bool
) -> int:
    """Try each that is usable; one that is named and is not usable fails."""
    models = (await asyncio.to_thread(services.scan_all)).models
    records: list[dict[str, object]] = []
    failed = False
    for engine, probe in pairs:
        trial: Trial | None = None
        if not probe.available:
            failed = failed or named
            problem, step = probe.problem, probe.next_step
        else:
            problem = step = ""
            try:
                trial = await tried(services, engine, probe.devices, models)
            except ModelNotFound as error:
                failed = failed or named
                problem, step = error.cause, error.next_step
        failed = failed or (trial is not None and trial.failure is not None)
        if as_json:
            test = trial_record(trial) if trial is not None else None
            records.append({**engine_record(engine, probe), "test": test})
        elif trial is not None:
            for line in trial_lines(trial):
                say(line)
        elif named or probe.available:
            complain(f"{engine.info.name}: {problem}")
            note(f"next: {step}")
    if as_json:
        emit(records)
    return int(failed)
