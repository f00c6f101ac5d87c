"""From what a user types to the model meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.store.headers import HeaderCache
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, Source

_SHOWN = 8


def resolve(
    models: Sequence[LocalModel], text: str, cache: HeaderCache | None = None
) -> LocalModel:
    """The model that ``text`` names: a path, a name, or a part only one name has.

    Raises:
        ModelNotFound: none or several answer to it; the next step names the candidates.
    """
    if "/" in text or text.lower().endswith(".gguf"):
        path = Path(text).expanduser()
        if path.is_file():
            return _at_path(models, path, cache)
    wanted = text.lower()
    for match in (
        [m for m in models if m.name == text],
        [m for m in models if m.name.lower() == wanted],
        [m for m in models if m.name.lower().startswith(wanted)],
        [m for m in models if wanted in m.name.lower()],
    ):
        if len(match) == 1:
            return match[0]
        if match:
            names = ", ".join(sorted(_named(m, match) for m in match[:_SHOWN]))
            more = f" and {len(match) - _SHOWN} more" if len(match) > _SHOWN else ""
            raise ModelNotFound(
                f"{len(match)} models answer to {clean_line(text)}.", f"Say which: {names}{more}."
            )
    near = difflib.get_close_matches(text, [m.name for m in models], n=3, cutoff=0.4)
    step = f"Did you mean {', '.join(near)}?" if near else "See: modeldeck ls."
    raise ModelNotFound(f"There is no model called {clean_line(text)}.", step)


def _named(model: LocalModel, among: Sequence[LocalModel]) -> str:
    same = [other for other in among if other.name == model.name]
    return clean_line(str(model.path)) if len(same) > 1 else model.name


def _at_path(models: Sequence[LocalModel], path: Path, cache: HeaderCache | None) -> LocalModel:
    real = path.resolve()
    for model in models:
        if any(file.resolve() == real for file in model.files):
            return model
    # A part of a split model needs its neighbours, so its folder is what is looked through.
    place = Place(Source.FOLDER, path.parent if "-of-" in path.name else path)
    for model in scan([place], cache).models:
        if any(file.resolve() == real for file in model.files):
            return model
    raise ModelNotFound(
        f"{clean_line(str(path))} is not a model file.", "Name a .gguf file, or see: modeldeck ls."
    )
