"""The commands that print and end: ``ls``, ``fit``, ``engines``, ``gpu``, ``doctor``, ``keys``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from modeldeck.engines.fit.types import Verdict
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, Source
from modeldeck.engines.units import file_size, tokens_text
from modeldeck.tui.opening import open_services
from modeldeck.tui.printing import complain, emit, note, output_columns, say, table
from modeldeck.tui.services import Services

if TYPE_CHECKING:
    import argparse

    from modeldeck.tui.plain_start import PlainStart


def run_command(name: str, options: argparse.Namespace) -> int:
    """Run one printing command. Returns the exit code. Raises ModeldeckError."""
    if name == "keys":
        from modeldeck.tui.keys_command import print_keys

        return print_keys(options)
    if name == "ls" and not options.disk:
        return list_models(options)
    from modeldeck.tui.house_arguments import HOUSE_COMMANDS

    with open_services(options) as services:
        for problem in services.problems:
            complain(problem)
        if name == "fit":
            from modeldeck.tui.fit_command import run_fit  # verdicts: 20 ms

            return run_fit(services, options)
        if name == "search":
            from modeldeck.tui.search_command import run_search

            return run_search(services, options)
        if name == "pull":
            from modeldeck.tui.pull_command import run_pull_command

            return run_pull_command(services.settings, options)
        if name == "pulls":
            from modeldeck.tui.pulls_command import run_pulls_command

            return run_pulls_command(services.settings, options)
        if name in HOUSE_COMMANDS:
            from modeldeck.tui.house_command import run_house

            return run_house(name, services, options)
        if name == "engines":
            from modeldeck.tui.engines_command import run_engines

            return run_engines(services, options)
        run = {"gpu": _gpu, "doctor": _doctor}[name]
        return run(services, options)


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
        "also": [
            {"name": seen.name, "source": seen.source.value, "path": str(seen.path)}
            for seen in model.also
        ],
    }


def list_models(options: argparse.Namespace | PlainStart) -> int:
    """Print every model with its verdict. Returns exit code 0. Raises ModeldeckError."""
    with open_services(options) as services:
        for problem in services.problems:
            complain(problem)
        return _ls(services, as_json=options.json)


def _ls(services: Services, *, as_json: bool) -> int:
    found = services.scan_all()
    snapshot, _ = services.sample(None)
    settings = services.settings
    card = services.cards.card(snapshot)
    verdicts = services.judge(
        found.models, settings.context_tokens, settings.kv_type, card, brief=True
    )
    if as_json:
        emit([model_record(m, verdicts.get(m.id)) for m in found.models])
    elif found.models:
        say(model_table(found.models, verdicts, columns=output_columns()))
        if card.what_if and verdicts:
            why = f" ({snapshot.why_none})" if snapshot.why_none else ""
            note(f"judged for: {card.name}{why}")
    if all(model.source is Source.DEMO for model in found.models):
        complain("There are no models of yours in the folders looked in:")
        for place in services.place_names:
            note(place)
        note("next: put GGUF files there, name more folders in the settings, or: modeldeck demo")
    for remark in found.notes:
        complain(remark)
    return 0


def model_table(
    models: Sequence[LocalModel], verdicts: Mapping[str, Verdict], *, columns: int | None
) -> str:
    """The models as people read them, one a row.

    Models with the same name are shown by their paths, which is what tells them apart; one file
    with several names by all of them.
    """
    names = Counter(model.name for model in models)
    rows = [("NAME", "QUANT", "SIZE", "CTX", "VERDICT")]
    for model in models:
        header = model.header
        verdict = verdicts.get(model.id)
        rows.append(
            (
                " = ".join(model.names) if names[model.name] == 1 else clean_line(str(model.path)),
                header.quantisation if header else "",
                file_size(model.size_bytes),
                tokens_text(header.context_length) if header and header.context_length else "",
                model.problem or (verdict.reason if verdict else ""),
            )
        )
    return table(rows, right=(2, 3), columns=columns)


def _gpu(services: Services, options: argparse.Namespace) -> int:
    snapshot, _ = services.sample(None)
    if options.json:
        from modeldeck.engines.hardware.record import hardware_record

        return emit(hardware_record(snapshot))
    from modeldeck.tui.gpu_text import machine_lines

    for line in machine_lines(snapshot):
        say(line)
    return 0


def _doctor(services: Services, options: argparse.Namespace) -> int:
    import asyncio  # 40 ms

    from modeldeck.engines.doctor.types import Severity
    from modeldeck.tui.examination import examine_machine, record, rounds, summary

    findings = asyncio.run(examine_machine(services))
    if options.json:
        emit(record(findings))
    else:
        for cause, next_step in rounds(findings, output_columns()):
            say(cause)
            say(next_step)
        say(summary(findings))
    return int(any(finding.severity is Severity.ERROR for finding in findings))
