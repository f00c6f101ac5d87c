"""From what a user types to the model meant."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from modeldeck.engines.catalog.folders import CONFIG
from modeldeck.engines.catalog.scan import model_at, models_in
from modeldeck.engines.catalog.walk import SUFFIXES
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.paths import is_file, is_folder
from modeldeck.engines.store.headers import HeaderCache
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel

_PARTS: Final = (".safetensors", ".safetensors.index.json")
_SHOWN: Final = 8
_SUGGESTED: Final = 3
_LIKE: Final = 0.6
_PART_LIKE: Final = 0.75
_MOST_WORDS: Final = 16
_LONGEST: Final = 200
_WORD: Final = re.compile(r"[a-z]+|\d+")


def resolve(
    models: Sequence[LocalModel], text: str, cache: HeaderCache | None = None
) -> LocalModel:
    """The model that ``text`` names: a path, a name, or a part only one name has.

    A path may lead to any file or folder, also outside the places that were looked through.

    Raises:
        ModelNotFound: none or several answer to it; the next step names the candidates.
    """
    if "/" in text or text.lower().endswith(SUFFIXES):
        found = _at_path(models, text, cache)
        if found is not None:
            return found
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
    # A bare word is a name first; a folder beside us may have it by chance.
    found = _at_path(models, text, cache)
    if found is not None:
        return found
    near = ", ".join(suggestions(text, _sound_names(models)))
    raise ModelNotFound(
        f"There is no model called “{clean_line(text, 80)}”.",
        f"Did you mean {near}?" if near else "See what there is: modeldeck ls.",
    )


def _sound_names(models: Iterable[LocalModel]) -> Iterator[str]:
    for model in models:
        if not model.problem:
            yield from model.names


def _at_path(
    models: Sequence[LocalModel], text: str, cache: HeaderCache | None
) -> LocalModel | None:
    """The model at the path ``text``; None when nothing is there. May raise ModelNotFound."""
    path = _typed(text)
    if is_file(path) or is_file(path / CONFIG):
        return _listed(models, path) or model_at(path, cache)
    return _only_one_in(path, cache) if text and is_folder(path) else None


def _typed(text: str) -> Path:
    """The path ``text`` may be; a part of a published folder is that folder."""
    path = Path(text)
    with contextlib.suppress(RuntimeError):  # a home of somebody who is not known here
        path = path.expanduser()
    part = path.name == CONFIG or path.name.lower().endswith(_PARTS)
    return path.parent if part and is_file(path.parent / CONFIG) else path


def _only_one_in(folder: Path, cache: HeaderCache | None) -> LocalModel:
    """The model that lies in a folder alone. Raises ModelNotFound."""
    here = models_in(folder, cache)
    if len(here) == 1:
        return here[0]
    shown = clean_line(str(folder))
    if not here:
        raise ModelNotFound(f"No model lies in {shown}.", "Name a .gguf file, or a folder of one.")
    names = ", ".join(model.path.name for model in here[:_SHOWN])
    more = f" and {len(here) - _SHOWN} more" if len(here) > _SHOWN else ""
    raise ModelNotFound(
        f"{len(here)} models lie in {shown}.", f"Say which: {clean_line(names, 400)}{more}."
    )


def suggestions(text: str, names: Iterable[str]) -> list[str]:
    """The names most like ``text``, at most three, the likest first.

    A name is as like as its likest part: all of it, or what begins with one of its words and is as
    long as ``text``. So ``qwne3`` finds ``Qwen3-8B-Instruct-Q4_K_M``.
    """
    wanted = text.strip().lower()
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)

    def likeness(name: str) -> float:
        lowered = name.lower()
        starts = [match.start() for match in _WORD.finditer(lowered)][:_MOST_WORDS]
        parts = {lowered[at : at + len(wanted)] for at in starts}
        best = 0.0
        for part, least in ((lowered, _LIKE), *((part, _PART_LIKE) for part in parts)):
            matcher.set_seq1(part)
            if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= max(best, least):
                ratio = matcher.ratio()
                best = max(best, ratio) if ratio >= least else best
        return best

    found = [(-like, name) for name in set(names) if (like := likeness(name)) >= _LIKE]
    return [name for _, name in sorted(found)[:_SUGGESTED]] if len(wanted) <= _LONGEST else []


def _matches(models: Sequence[LocalModel], text: str) -> Iterator[list[LocalModel]]:
    """Models that answer to ``text``, the strictest way of answering first."""
    wanted = text.strip().lower()
    for suffix in SUFFIXES:
        wanted = wanted.removesuffix(suffix)
    if not wanted:
        return
    yield [model for model in models if model.name == text]
    ways: tuple[Callable[[str], bool], ...] = (
        lambda name: name == text,
        lambda name: name.lower() == wanted,
        lambda name: name.lower().rpartition("/")[2] == wanted,
        lambda name: name.lower().startswith(wanted),
        lambda name: wanted in name.lower(),
    )
    for answers in ways:
        yield [model for model in models if any(map(answers, model.names))]


def _named(model: LocalModel, among: Sequence[LocalModel]) -> str:
    alone = sum(other.name == model.name for other in among) == 1
    return model.name if alone else clean_line(str(model.path))


def _listed(models: Sequence[LocalModel], path: Path) -> LocalModel | None:
    """The model of the list that is this folder, or has this physical file."""
    real = path.resolve()
    name = real.name
    for model in models:
        if model.path == path or (model.path.name == name and model.path.resolve() == real):
            return model
        if any(seen.path == path for seen in model.also):
            return model
        for file in model.files:
            # A blob of the Hugging Face cache has another name than the links to it.
            if file == path or (
                (file.name == name or file.is_symlink()) and file.resolve() == real
            ):
                return model
    return None
