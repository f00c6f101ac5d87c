"""The engines that could run a model, as rows to pick from. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from modeldeck.engines.choice import EngineStatus, choose
from modeldeck.engines.types import LocalModel
from modeldeck.tui.widgets.model_picker import PickerRow

AUTOMATIC = ""
"""The key of the row that leaves the choice to the policy."""


def engine_rows(model: LocalModel, engines: Sequence[EngineStatus]) -> list[PickerRow]:
    """The policy's own choice first, then every engine that reads the model's format."""
    best = choose(model, engines).engine
    rows = [PickerRow(AUTOMATIC, "automatic", best or "no engine here")]
    able = [engine for engine in engines if model.format in engine.info.formats]
    return rows + [PickerRow(e.info.name, e.info.name, _hint(e)) for e in able]


def _hint(engine: EngineStatus) -> str:
    if engine.probe is None:
        return "being asked"
    if not engine.available:
        return "not installed" if engine.missing else "not usable here"
    return f"on {engine.device}" if engine.device else "ready"
