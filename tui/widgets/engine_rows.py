"""The engines that could run a model, as rows to pick from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from modeldeck.engines.choice import EngineStatus, choose
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel
from modeldeck.tui.widgets.model_picker import PickerRow

_REASON_CELLS: Final = 60
AUTOMATIC = ""
"""The key of the row that leaves the choice to the policy."""


def engine_rows(model: LocalModel, engines: Sequence[EngineStatus]) -> list[PickerRow]:
    """The policy's own choice first, with its reason, then every engine that reads the format."""
    choice = choose(model, engines)
    best = f"{choice.engine}: {choice.reason}" if choice.engine else "no engine here"
    rows = [PickerRow(AUTOMATIC, "automatic", clean_line(best, _REASON_CELLS))]
    able = [engine for engine in engines if engine.info.runs(model)]
    return rows + [PickerRow(e.info.name, e.info.name, _hint(e)) for e in able]


def _hint(engine: EngineStatus) -> str:
    if engine.probe is None:
        return "being asked"
    if not engine.available:
        return "not installed" if engine.missing else "not usable here"
    return f"on {engine.device}" if engine.device else "ready"
