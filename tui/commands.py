"""The commands that print and end: ``ls``, ``engines``, ``gpu``, ``keys``."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence

from modeldeck.engines.fit.types import Verdict
from modeldeck.engines.types import LocalModel, Probe
from modeldeck.tui.actions import ACTIONS, help_digest, help_text, key_name, remapped
from modeldeck.tui.services import Services, open_services

_GIB = 1024**3


def run_command(name: str, options: argparse.Namespace) -> int:
    """Run one printing command. Returns the exit code. Raises ModeldeckError."""
    if name == "keys":
        return _keys(options)
    with open_services(options) as services:
        for problem in services.problems:
            print(f"modeldeck: {problem}", file=sys.stderr)  # noqa: T201
        run = {"ls": _ls, "engines": _engines, "gpu": _gpu}[name]
        return run(services, options)


def _emit(value: object) -> int:
    print(json.dumps(value, ensure_ascii=False, indent=2))  # noqa: T201
    return 0


def table(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Rows of text as aligned columns; the first row is the heading.

    Args:
        rows: equally long rows.
        right: numbers of the columns that are aligned to the right.
    """
    from rich.cells import cell_len  # wide characters take two cells; about 10 ms

    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    flush_right = frozenset(right)

    def line(row: Sequence[str]) -> str:
        cells: list[str] = []
        for i, text in enumerate(row):
            pad = " " * (widths[i] - cell_len(text))
            cells.append(pad + text if i in flush_right else text + pad)
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in rows)


def model_record(model: LocalModel, verdict: Verdict | None) -> dict[str, object]:
    """One model with the stable keys of ``ls --json``."""
    header = model.header
    return {
        "name": model.name,
        "path": str(model.path),
        "source": model.source.value,
        "format": model.format.value,
        "architecture": header.architecture if header else None,
        "parameters": header.parameters if header else None,
        "quantisation": header.quantisation if header else None,
        "size_bytes": model.size_bytes,
        "context_length": header.context_length if header else None,
        "verdict": verdict.kind.value if verdict else None,
        "problem": model.problem,
    }


def _ls(services: Services, options: argparse.Namespace) -> int:
    found = services.scan_all()
    snapshot, _ = services.sample(None)
    settings = services.settings
    verdicts = services.judge(
        found.models, settings.context_tokens, settings.kv_type, services.card(snapshot)
    )
    if options.json:
        return _emit([model_record(m, verdicts.get(m.id)) for m in found.models])
    rows = [("NAME", "QUANT", "SIZE", "CONTEXT", "VERDICT")]
    for model in found.models:
        header = model.header
        verdict = verdicts.get(model.id)
        rows.append(
            (
                model.name,
                header.quantisation if header else "",
                f"{model.size_bytes / 1e9:.1f} GB",
                str(header.context_length) if header else "",
                model.problem or (verdict.reason if verdict else ""),
            )
        )
    if len(rows) > 1:
        print(table(rows, right=(2, 3)))  # noqa: T201
    else:
        print("No models found. Folders looked in:", file=sys.stderr)  # noqa: T201
        for place in services.place_names:
            print(f"  {place}", file=sys.stderr)  # noqa: T201
        print("Try the built-in one: modeldeck demo", file=sys.stderr)  # noqa: T201
    for note in found.notes:
        print(f"modeldeck: {note}", file=sys.stderr)  # noqa: T201
    return 0


def _engines(services: Services, options: argparse.Namespace) -> int:
    async def ask() -> list[Probe]:
        try:
            return list(await asyncio.gather(*(e.probe() for e in services.engines)))
        finally:
            await services.close_engines()

    probes = asyncio.run(ask())
    pairs = list(zip(services.engines, probes, strict=True))
    if options.json:
        return _emit(
            [
                {
                    "name": engine.info.name,
                    "title": engine.info.title,
                    "available": probe.available,
                    "build": probe.build,
                    "where": probe.where,
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
                }
                for engine, probe in pairs
            ]
        )
    rows = [("ENGINE", "STATE", "BUILD", "WHERE", "DEVICES")]
    for engine, probe in pairs:
        state = "ready" if probe.available else "not usable"
        devices = ", ".join(device.name for device in probe.devices)
        rows.append((engine.info.name, state, probe.build, probe.where, devices))
    print(table(rows))  # noqa: T201
    for engine, probe in pairs:
        if not probe.available:
            print(f"{engine.info.name}: {probe.problem} {probe.next_step}", file=sys.stderr)  # noqa: T201
    return 0


def _gpu(services: Services, options: argparse.Namespace) -> int:
    snapshot, _ = services.sample(None)
    if options.json:
        from dataclasses import asdict

        return _emit(asdict(snapshot))
    host = snapshot.host
    print(f"{host.name}: {host.cpu_name}, {host.cpu_cores} cores")  # noqa: T201
    if host.memory_total_bytes is not None and host.memory_available_bytes is not None:
        available, total = host.memory_available_bytes / _GIB, host.memory_total_bytes / _GIB
        print(f"  memory {available:.1f} of {total:.1f} GiB available")  # noqa: T201
    if not snapshot.gpus:
        print(f"No GPU: {snapshot.gpu_note}")  # noqa: T201
        return 0
    rows = [("GPU", "NAME", "MEMORY USED", "TOTAL", "USE", "TEMP", "POWER", "DRIVER")]
    rows += [
        (
            str(gpu.index),
            gpu.name,
            _gib(gpu.memory_used_bytes),
            _gib(gpu.memory_total_bytes),
            "n/a" if gpu.utilisation_percent is None else f"{gpu.utilisation_percent} %",
            "n/a" if gpu.temperature_celsius is None else f"{gpu.temperature_celsius} °C",
            "n/a" if gpu.power_watts is None else f"{gpu.power_watts:.0f} W",
            gpu.driver or "n/a",
        )
        for gpu in snapshot.gpus
    ]
    print(table(rows, right=(2, 3, 4, 5, 6)))  # noqa: T201
    return 0


def _gib(size_bytes: int | None) -> str:
    return "n/a" if size_bytes is None else f"{size_bytes / _GIB:.1f} GiB"


def _keys(options: argparse.Namespace) -> int:
    if options.json:
        return _emit({**help_text(), "digest": help_digest()})
    from pathlib import Path

    from modeldeck.tui.settings import load_settings

    settings, _ = load_settings(Path(options.config) if options.config else None)
    rows = [("PLACE", "KEY", "WHAT IT DOES", "NAME FOR [keys]")]
    rows += [
        (entry.place, " ".join(key_name(k) for k in entry.keys), entry.description, entry.id)
        for entry in remapped(ACTIONS, settings.keymap)
    ]
    print(table(rows))  # noqa: T201
    return 0
