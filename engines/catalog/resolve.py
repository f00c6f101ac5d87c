"""From what a user types to the model meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

from modeldeck.engines.catalog.scan import model_at
from modeldeck.engines.catalog.walk import SUFFIX
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.store.headers import HeaderCache
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel

_SHOWN = 8


def resolve(
    models: Sequence[LocalModel], text: str, cache: HeaderCache | None = None
) -> LocalModel:
    """The model that ``text`` names: a path, a name, or a part only one name has.

    A path may lead to any file, also outside the places that were looked through.

    Raises:
        ModelNotFound: none or several answer to it; the next step names the candidates.
    """
    if "/" in text or text.lower().endswith(SUFFIX):
        path = Path(text).expanduser()
        if path.is_file():
            return _listed(models, path) or model_at(path, cache)
    for match in _matches(models, text):
        if len(match) == 1:
            return match[0]
        if match:
            names = ", ".join(sorted(_named(model, match) for model in match[:_SHOWN]))
            more = f" and {len(match) - _SHOWN} more" if len(match) > _SHOWN else ""
            raise ModelNotFound(
                f"{len(match)} models answer to “{clean_line(text, 80)}”.",
                f"Say which: {names}{more}.",
            )
    by_lower = {model.name.lower(): model.name for model in models}
    near = difflib.get_close_matches(text.lower(), by_lower, n=3, cutoff=0.4)
    named = ", ".join(by_lower[name] for name in near)
    raise ModelNotFound(
        f"There is no model called “{clean_line(text, 80)}”.",
        f"Did you mean {named}?" if near else "See what there is: modeldeck ls.",
    )


def _matches(models: Sequence[LocalModel], text: str) -> Iterator[list[LocalModel]]:
    """Models that answer to ``text``, the strictest way of answering first."""
    wanted = text.strip().lower().removesuffix(SUFFIX)
    if not wanted:
        return
    yield [model for model in models if model.name == text]
    yield [model for model in models if model.name.lower() == wanted]
    yield [model for model in models if model.name.lower().startswith(wanted)]
    yield [model for model in models if wanted in model.name.lower()]


def _named(model: LocalModel, among: Sequence[LocalModel]) -> str:
    alone = sum(other.name == model.name for other in among) == 1
    return model.name if alone else clean_line(str(model.path))


def _listed(models: Sequence[LocalModel], path: Path) -> LocalModel | None:
    """The model of the list that has this physical file."""
    real = path.resolve()
    name = real.name
    for model in models:
        for file in model.files:
            # A blob of the Hugging Face cache has another name than the links to it.
            if file == path or (
                (file.name == name or file.is_symlink()) and file.resolve() == real
            ):
                return model
    return None
