"""What a user names to be judged: a file, a local model, or one in a registry or at an address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote, urlsplit

from modeldeck.engines.catalog.resolve import resolve
from modeldeck.engines.catalog.scan import models_in
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.store.headers import HeaderCache
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, Source

_REPOSITORY: Final = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
REVISION: Final = re.compile(r"[\w.+-]{1,96}(?:/[\w.+-]{1,96}){0,4}", re.ASCII)
"""What names a branch, a tag or a commit."""

# What a browser shows of a model, or of one of its files.
_HUB_PAGE: Final = re.compile(
    r"https://(?:huggingface\.co|hf\.co)/(?!(?:api|datasets|spaces|docs|collections)/)"
    r"(?P<name>[\w.-]{1,96}/[\w.-]{1,96})"
    r"(?:/(?:tree|blob|resolve)/(?P<at>[\w.+-]{1,96})(?:/(?P<file>[\w.+/%-]+\.gguf))?)?/?(?:\?.*)?",
    re.ASCII,
)
_OLLAMA_NAME: Final = re.compile(
    r"(?:(?P<host>[\w-]+(?:\.[\w-]+)+(?::\d{1,5})?)/)?(?:(?P<namespace>[\w.-]+)/)?"
    r"(?P<model>[\w.-]+)(?::(?P<tag>[\w.-]+))?",
    re.ASCII,
)
# What tells the variants of one model apart in their names.
QUANTISATION: Final = re.compile(
    r"[-_.](?:ud[-_.])?(?:i?q\d\w*|f16|fp16|bf16|f32|mxfp4\w*|tq\d\w*)$", re.IGNORECASE
)


class TargetKind(StrEnum):
    """Where a target is looked for."""

    LOCAL = "local"
    HUB = "hub"
    OLLAMA = "ollama"
    URL = "url"


@dataclass(frozen=True, slots=True)
class Target:
    """A target, taken apart.

    Attributes:
        text: as typed, cleaned.
        kind: where it is looked for.
        name: the path, local name, repository, Ollama name (with its tag) or address.
        file: the file of a repository, or its quantisation; empty when none was said.
        revision: branch, tag or commit of a repository; empty when none was said.
    """

    text: str
    kind: TargetKind
    name: str
    file: str = ""
    revision: str = ""


def parse_target(text: str) -> Target:
    """Take a target apart; nothing is looked up.

    Raises:
        ModelNotFound: it is no target; says how one is written.
    """
    shown = clean_line(text, 300)
    if text.startswith("hf:"):
        place, _, file = text.removeprefix("hf:").partition(":")
        name, at, revision = place.partition("@")
        sound = _REPOSITORY.fullmatch(name) and (REVISION.fullmatch(revision) or not at)
        if not sound or ".." in f"{place}:{file}" or file.startswith("/"):
            raise ModelNotFound(
                f"“{shown}” names no repository.",
                "Write it like hf:owner/name:Q4_K_M or hf:owner/name@branch.",
            )
        return Target(shown, TargetKind.HUB, name, file, revision)
    if text.startswith("ollama:"):
        name = text.removeprefix("ollama:")
        if not _OLLAMA_NAME.fullmatch(name):
            raise ModelNotFound(
                f"“{shown}” names no model of Ollama.", "Write it like ollama:qwen3:8b."
            )
        return Target(shown, TargetKind.OLLAMA, name if ":" in name else f"{name}:latest")
    if text.startswith(("https://", "http://")):
        if not _has_host(text):
            raise ModelNotFound(
                f"“{shown}” is no address.", "Write it like https://host/model.gguf."
            )
        if page := _HUB_PAGE.fullmatch(text):
            return Target(
                shown, TargetKind.HUB, page["name"], unquote(page["file"] or ""), page["at"] or ""
            )
        return Target(shown, TargetKind.URL, text)
    return Target(shown, TargetKind.LOCAL, text)


def _has_host(address: str) -> bool:
    try:
        return bool(urlsplit(address).hostname)
    except ValueError:
        return False


def local_model(
    target: Target, models: Sequence[LocalModel], cache: HeaderCache | None = None
) -> LocalModel | None:
    """The model of this machine that a target means; None when it must be looked for elsewhere.

    Raises:
        ModelNotFound: the target is a path or a local name, and none or several answer to it.
    """
    if target.kind is TargetKind.LOCAL:
        return resolve(models, target.name, cache)
    if target.kind is TargetKind.OLLAMA:
        for model in models:
            names = ((model.source, model.name), *((seen.source, seen.name) for seen in model.also))
            if (Source.OLLAMA, target.name) in names:
                return model
    return None


def variants(
    model: LocalModel, models: Sequence[LocalModel], cache: HeaderCache | None = None
) -> tuple[LocalModel, ...]:
    """All quantisations of ``model`` beside it, itself among them, the largest first.

    Beside a model that is not among ``models`` its folder is looked through.
    """
    family = family_name(model.name)
    listed = any(other.id == model.id for other in models)
    found = {
        other.id: other
        for other in (model, *(models if listed else models_in(model.path.parent, cache)))
        if other.path.parent == model.path.parent and family_name(other.name) == family
    }
    return tuple(sorted(found.values(), key=lambda one: -one.size_bytes))


def family_name(name: str) -> str:
    """A model's name without its quantisation, in lower case."""
    return QUANTISATION.sub("", name.lower().removesuffix(".gguf"))
