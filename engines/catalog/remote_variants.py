"""The variants of a repository of the Hub, from its listing alone: what each pull would bring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from modeldeck.engines.catalog.folders import contents_of
from modeldeck.engines.catalog.remote_choice import PART, choose_files
from modeldeck.engines.catalog.remote_hub import MAIN, Repository, branches, repository
from modeldeck.engines.catalog.remote_memory import RemoteMemory
from modeldeck.engines.catalog.targets import QUANTISATION
from modeldeck.engines.text import clean_line

_GGUF: Final = ".gguf"


@dataclass(frozen=True, slots=True)
class RemoteVariant:
    """One variant.

    Attributes:
        target: that names exactly it.
        label: what tells it from the others: its quantisation, its branch, or its file.
        size_bytes: of its weights; None where the Hub does not say.
    """

    target: str
    label: str
    size_bytes: int | None


def remote_variants(memory: RemoteMemory, endpoint: str, name: str) -> tuple[RemoteVariant, ...]:
    """What ``owner/name`` holds, small to large; nothing where it holds no weights.

    Raises:
        ModelNotFound: there is no such repository.
        Unreachable: the Hub does not answer, and did not answer this before.
        FormatError: it gives it to few, or says nonsense.
    """
    there = repository(memory, endpoint, name, MAIN)
    if any(file.lower().endswith(_GGUF) for file in there.files):
        found = _of_files(there)
    elif (contents := contents_of(there.files)) is not None:
        size = _size_of(there, contents.weights)
        found = [RemoteVariant(f"hf:{name}", clean_line(name.rpartition("/")[2], 120), size)]
    else:
        found = [
            RemoteVariant(f"hf:{name}@{branch}", clean_line(branch, 120), None)
            for branch in branches(memory, endpoint, name)
        ]
    return tuple(sorted(found, key=lambda one: one.size_bytes or 0))


def _of_files(there: Repository) -> list[RemoteVariant]:
    groups = choose_files(there.files, "", all_variants=True)
    stems = [_stem(files[0]) for files in groups]
    labels = [_label(stem) for stem in stems]
    return [
        RemoteVariant(
            f"hf:{there.name}:{clean_line(files[0], 200)}",
            clean_line(label if labels.count(label) == 1 else stem, 120),
            _size_of(there, files),
        )
        for files, stem, label in zip(groups, stems, labels, strict=True)
    ]


def _stem(file: str) -> str:
    part = PART.fullmatch(file)
    return part[1] if part else file[: -len(_GGUF)]


def _label(stem: str) -> str:
    """``Q4_K_M`` of ``Qwen3-14B-Q4_K_M``; the file's own name where it says no quantisation."""
    name = stem.rpartition("/")[2]
    found = QUANTISATION.search(name)
    return found[0].strip("-_.") if found else name


def _size_of(there: Repository, files: Iterable[str]) -> int | None:
    sizes = [there.files[file].size_bytes for file in files]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None
