"""Engines, found through the entry-point group ``modeldeck.engines``.

Built-in engines and strangers' come through the same door. Names are free; only making an engine
imports its module.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import EngineError, EngineMissing
from modeldeck.engines.text import clean_line

GROUP = "modeldeck.engines"


def _entries() -> dict[str, EntryPoint]:
    return {_canonical(entry.name): entry for entry in entry_points(group=GROUP)}


def _canonical(name: str) -> str:
    return name.replace("-", "_").lower()


def engine_names() -> tuple[str, ...]:
    """Names of all engines that packages here offer, sorted. Imports none of them."""
    return tuple(sorted(_entries()))


def create(name: str) -> Engine:
    """Make the engine called ``name`` (``-`` and ``_`` are the same).

    Raises:
        EngineMissing: no package offers it.
        EngineError: its module cannot be imported, or it is no engine.
    """
    entry = _entries().get(_canonical(name))
    if entry is None:
        known = ", ".join(engine_names()) or "none"
        raise EngineMissing(f"There is no engine called {clean_line(name)}.", f"Engines: {known}.")
    try:
        engine = entry.load()()
    except Exception as error:
        raise EngineError(
            f"The engine {entry.name} could not be loaded ({clean_line(repr(error))}).",
            "Update or remove the package that brings it.",
        ) from error
    if not isinstance(engine, Engine):
        raise EngineError(
            f"The package behind {entry.name} offers no modeldeck engine.",
            "Update or remove that package.",
        )
    return engine


def create_all() -> tuple[tuple[Engine, ...], tuple[EngineError, ...]]:
    """Make every engine. One that fails is reported and does not stop the others."""
    engines: list[Engine] = []
    failures: list[EngineError] = []
    for name in engine_names():
        try:
            engines.append(create(name))
        except EngineError as error:
            failures.append(error)
    return tuple(engines), tuple(failures)
