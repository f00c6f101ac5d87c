"""Workers in another Python environment: for libraries whose pins conflict with the deck's.

An engine's library is looked for in the deck's own environment, then in one of its own below it
(``engines/NAME`` in ``sys.prefix``), unless the settings name a Python. The worker modules need
nothing but the standard library and that one library; a few lines make them importable there.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import modeldeck.engines

_BOOT = (
    "import sys, types, runpy; "
    "package = types.ModuleType('modeldeck'); package.__path__ = [sys.argv.pop(1)]; "
    "sys.modules['modeldeck'] = package; "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def python_with(library: str, engine: str, chosen: str | None = None) -> str | None:
    """The Python to run a worker that imports ``library``; None when there is none.

    Args:
        library: the module to import, as it is called in Python.
        engine: name of the engine, of its own environment.
        chosen: the Python that the settings name; taken as it is.
    """
    if chosen is not None:
        return chosen
    if importlib.util.find_spec(library) is not None:
        return sys.executable
    own = Path(sys.prefix) / "engines" / engine / "bin" / "python"
    return str(own) if own.exists() else None


def foreign_command(python: str, module: str, *arguments: str) -> tuple[str, ...]:
    """The words that run one of our modules with ``python``."""
    root = Path(modeldeck.engines.__path__[0]).parent
    return (python, "-c", _BOOT, str(root), module, *arguments)
