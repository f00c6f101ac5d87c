"""Models that are not on this machine: their headers by ranges, from the Hub, Ollama or an address.

The Hub: ``/api/models/NAME`` lists a repository's files, ``/NAME/resolve/main/FILE`` has each.
Ollama: ``/v2/NAME/manifests/TAG`` is an OCI manifest, ``/v2/NAME/blobs/DIGEST`` has the weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from modeldeck.engines.catalog.ollama import read_manifest
from modeldeck.engines.catalog.projectors import PROJECTOR
from modeldeck.engines.catalog.targets import Target, TargetKind
from modeldeck.engines.errors import FormatError, ModelNotFound
from modeldeck.engines.formats.http_source import Changed, HttpSource
from modeldeck.engines.formats.web import Login, Web, origin, web_of
from modeldeck.engines.formats.web_document import document
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import ModelHeader

if TYPE_CHECKING:
    from modeldeck.engines.formats.gguf import GgufFile

_HUB: Final = "https://huggingface.co"
_OLLAMA: Final = "registry.ollama.ai"
_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
_PART: Final = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
_MOST_PARTS: Final = 99
_PREFERRED: Final = ("q4_k_m", "q4_0", "iq4_xs", "mxfp4", "q5_k_m", "q8_0")
_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model that could be had.

    Attributes:
        name: the target that names exactly this variant.
        header: what its files say.
        size_bytes: of all its files.
        received_bytes: what reading the header took over the wire.
    """

    name: str
    header: ModelHeader
    size_bytes: int
    received_bytes: int


def remote_models(
    target: Target, environ: Mapping[str, str], *, all_variants: bool = False
) -> tuple[RemoteModel, ...]:
    """What a target outside this machine names: one model, or all its variants.

    Args:
        target: of the Hub, of Ollama, or an address.
        environ: ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HOME`` count, as in Hugging Face's tools.
        all_variants: every quantisation of a repository instead of one.

    Raises:
        ModelNotFound: the repository has no such model.
        FormatError: the server or the file cannot be read.
    """
    match target.kind:
        case TargetKind.HUB:
            return _from_hub(target, environ, all_variants)
        case TargetKind.OLLAMA:
            return (_from_ollama(target),)
        case _:
            with web_of() as web:
                return (_model(web, target.text, [target.name]),)


def _from_hub(
    target: Target, environ: Mapping[str, str], all_variants: bool
) -> tuple[RemoteModel, ...]:
    endpoint = environ.get("HF_ENDPOINT", "").rstrip("/") or _HUB
    with web_of(_login(endpoint, environ)) as web:
        listed = document(web, f"{endpoint}/api/models/{quote(target.name)}")
        chosen = choose_files(file_names(listed), target.file, all_variants=all_variants)
        base = f"{endpoint}/{quote(target.name)}/resolve/main/"
        return tuple(
            _model(
                web,
                f"hf:{target.name}:{clean_line(files[0], 200)}",
                [base + quote(file) for file in files],
            )
            for files in chosen
        )


def file_names(listing: bytes) -> list[str]:
    """The names of a repository's files, from what the Hub says of it. Raises FormatError."""
    try:
        whole: Any = json.loads(listing)
        siblings = whole["siblings"]
        return [str(entry["rfilename"]) for entry in siblings]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise FormatError(
            "What the Hub says of the repository is not sound.", "Try again later."
        ) from error


def choose_files(
    names: Iterable[str], wanted: str, *, all_variants: bool = False
) -> list[list[str]]:
    """The files of the model that ``wanted`` names, in order; of every model for all variants.

    Args:
        names: of all files of a repository.
        wanted: a file, a quantisation (``Q4_K_M``), or empty for the usual one.
        all_variants: everything that ``wanted`` allows.

    Raises:
        ModelNotFound: nothing answers to it.
    """
    models = _grouped(names)
    if not models:
        raise ModelNotFound(
            "The repository has no GGUF file.", "Look for one with GGUF in its name."
        )
    named = wanted.lower()
    found = models
    if named:
        found = {stem: files for stem, files in models.items() if named in map(str.lower, files)}
        found = found or {s: files for s, files in models.items() if _has_word(s, named)}
    if not found:
        there = ", ".join(sorted(clean_line(stem, 60) for stem in models)[:_SHOWN])
        raise ModelNotFound(
            f"The repository has no “{clean_line(wanted, 60)}”.", f"There are {there}."
        )
    if all_variants:
        return list(found.values())
    for quantisation in _PREFERRED:
        for stem, files in found.items():
            if _has_word(stem, quantisation):
                return [files]
    return [next(iter(found.values()))]


def _grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """GGUF files by model: the parts of a split one together, projectors left out."""
    models: dict[str, list[str]] = {}
    for name in sorted(names):
        if name.lower().endswith(".gguf") and not PROJECTOR.search(name.rpartition("/")[2]):
            part = _PART.fullmatch(name)
            stem = part[1] if part else name[: -len(".gguf")]
            models.setdefault(stem, []).append(name)
    return models


def _has_word(stem: str, word: str) -> bool:
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9_])", stem.lower()) is not None


def _from_ollama(target: Target) -> RemoteModel:
    name, _, tag = target.name.rpartition(":")
    host, _, rest = name.partition("/")
    if "." not in host:
        host, rest = _OLLAMA, name
    if "/" not in rest:
        rest = f"library/{rest}"
    scheme = "http" if host.startswith(("127.", "localhost")) else "https"
    base = f"{scheme}://{host}/v2/{quote(rest)}"
    with web_of() as web:
        layers = read_manifest(document(web, f"{base}/manifests/{quote(tag)}", _MANIFEST))
        weights = [digest for kind, digest in layers if kind == "model"]
        if not weights:
            raise FormatError(
                "Ollama keeps this model in a form that only it can run.", "Run it in Ollama."
            )
        return _model(web, target.text, [f"{base}/blobs/{weights[0]}"])


def _model(web: Web, name: str, urls: Sequence[str]) -> RemoteModel:
    """A model in GGUF files; one that changes while it is read is begun again, once."""
    if len(urls) > _MOST_PARTS:
        raise FormatError("The model has too many parts.", "Download it, then judge it here.")
    parts = _all_parts(urls)
    try:
        return _gguf_model(web, name, parts)
    except Changed:
        return _gguf_model(web, name, parts)


def _gguf_model(web: Web, name: str, urls: Sequence[str]) -> RemoteModel:
    from modeldeck.engines.formats.gguf import read_gguf
    from modeldeck.engines.formats.header import header_of

    parts: list[GgufFile] = []
    size_bytes = received_bytes = 0
    for url in urls:
        with HttpSource(web, url) as source:
            parts.append(read_gguf(source))
            size_bytes += source.size_bytes
            received_bytes += source.received_bytes
    return RemoteModel(name, header_of(parts), size_bytes, received_bytes)


def _all_parts(urls: Sequence[str]) -> list[str]:
    """The addresses of all parts, when the one that is named is a part."""
    if len(urls) != 1:
        return list(urls)
    split = urlsplit(urls[0])
    part = _PART.fullmatch(split.path)
    if part is None or not 1 <= int(part[3]) <= _MOST_PARTS:
        return list(urls)
    count = int(part[3])
    return [
        split._replace(path=f"{part[1]}-{number:05}-of-{count:05}.gguf").geturl()
        for number in range(1, count + 1)
    ]


def _login(endpoint: str, environ: Mapping[str, str]) -> Login | None:
    """The user's token for the Hub, from where the ecosystem keeps it; never logged or shown."""
    token = environ.get("HF_TOKEN", "").strip()
    if not token:
        home = environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface")
        try:
            token = (Path(home) / "token").read_text("utf-8")[:512].strip()
        except (OSError, UnicodeDecodeError):
            return None
    if not (token.isascii() and token.isprintable()):
        return None
    return Login(origin(endpoint), token)
