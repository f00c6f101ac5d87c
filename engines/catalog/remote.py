"""Models that are not on this machine: their headers alone, from the Hub, Ollama or an address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from modeldeck.engines.catalog.folders import contents_of
from modeldeck.engines.catalog.ollama import read_manifest
from modeldeck.engines.catalog.projectors import fitting, neighbours_of
from modeldeck.engines.catalog.remote_choice import PART, choose_files
from modeldeck.engines.catalog.remote_hub import (
    MAIN,
    Repository,
    branches,
    endpoint_of,
    gated,
    login_of,
    offline_by,
    other_branches,
    repository,
)
from modeldeck.engines.catalog.remote_memory import Described, RemoteMemory, described_gguf
from modeldeck.engines.catalog.remote_ollama import MANIFEST, registry_of
from modeldeck.engines.catalog.targets import Target, TargetKind
from modeldeck.engines.errors import FormatError, ModeldeckError, ModelNotFound
from modeldeck.engines.formats.attention import Attention
from modeldeck.engines.formats.cursor import CutShort
from modeldeck.engines.formats.gguf_outline import Outline
from modeldeck.engines.formats.http_source import Changed
from modeldeck.engines.formats.web import Patience, web_of
from modeldeck.engines.formats.web_errors import Refused, Unreachable
from modeldeck.engines.store.remote_answers import RemoteAnswers
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import ModelHeader

_MOST_PARTS: Final = 99
_MOST_FILES: Final = 400


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model that could be had.

    Attributes:
        name: the target that names exactly this variant.
        header: what its files say.
        size_bytes: of all its files.
        projector_bytes: of the projector that goes with it; 0 when it has none.
        as_of: when this was true, in seconds since 1970, where the server cannot be reached now.
        outlines: what llama.cpp needs to size it; none for what it does not run.
    """

    name: str
    header: ModelHeader
    size_bytes: int
    projector_bytes: int = 0
    as_of: float | None = None
    outlines: tuple[Outline, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteProblem:
    """A variant that cannot be read, while others may.

    Attributes:
        name: the target that names exactly this variant.
        error: why.
    """

    name: str
    error: ModeldeckError


def remote_models(
    target: Target,
    environ: Mapping[str, str],
    answers: RemoteAnswers | None = None,
    *,
    all_variants: bool = False,
    patience: Patience | None = None,
    attention: Attention | None = None,
) -> tuple[RemoteModel | RemoteProblem, ...]:
    """What a target outside this machine names: one model, or all its variants.

    Args:
        target: of the Hub, of Ollama, or an address.
        environ: ``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_TOKEN_PATH``, ``HF_HOME`` and
            ``HF_HUB_OFFLINE`` count, as in Hugging Face's tools.
        answers: what was said before, and is to be kept of what is said now.
        all_variants: every quantisation of a repository instead of one; one that cannot be read
            says so in its place.
        patience: with the servers.
        attention: of who waits for it.

    Raises:
        ModelNotFound: the repository has no such model.
        FormatError: the server or the file cannot be read.
        SettingsError: ``HF_ENDPOINT`` is no address.
    """
    endpoint = endpoint_of(environ) if target.kind is TargetKind.HUB else ""
    login = login_of(endpoint, environ) if endpoint else None
    with web_of(login, patience, attention=attention) as web:
        web.offline = target.kind is TargetKind.HUB and offline_by(environ)
        memory = RemoteMemory(web, answers)
        match target.kind:
            case TargetKind.HUB:
                try:
                    return tuple(_from_hub(memory, endpoint, target, all_variants))
                except Refused as refused:
                    if refused.status not in (401, 403):
                        raise
                    raise gated(endpoint, target.name) from refused
            case TargetKind.OLLAMA:
                return (_from_ollama(memory, target),)
            case _:
                urls = all_parts(target.name)
                return (_gguf(memory, target.text, urls),)


def _from_hub(
    memory: RemoteMemory, endpoint: str, target: Target, all_variants: bool
) -> Iterator[RemoteModel | RemoteProblem]:
    there = repository(memory, endpoint, target.name, target.revision or MAIN)
    if any(name.lower().endswith(".gguf") for name in there.files):
        for files in choose_files(there.files, target.file, all_variants=all_variants):
            name = f"hf:{_named(there)}:{clean_line(files[0], 200)}"
            if all_variants:
                yield _or_problem(name, partial(_gguf_of, memory, there, files, name))
            else:
                yield _gguf_of(memory, there, files, name)
        return
    if contents_of(there.files) is not None or target.revision:
        yield _folder_of(memory, there, target.file)
        return
    found = branches(memory, endpoint, target.name)
    if not found:
        raise _no_model()
    if not all_variants:
        raise ModelNotFound(
            "The repository keeps no model in its main branch.", other_branches(target.name, found)
        )
    for branch in found:
        there = repository(memory, endpoint, target.name, branch)
        yield _or_problem(f"hf:{_named(there)}", partial(_folder_of, memory, there, target.file))


def _or_problem(name: str, read: Callable[[], RemoteModel]) -> RemoteModel | RemoteProblem:
    """One of several variants; what ends all of them is raised."""
    try:
        return read()
    except (Refused, Unreachable):
        raise
    except (FormatError, ModelNotFound) as error:
        return RemoteProblem(name, error)


def _gguf_of(memory: RemoteMemory, there: Repository, files: list[str], name: str) -> RemoteModel:
    urls = [there.url(file) for file in files]
    model = _gguf(
        memory,
        name,
        urls,
        there.state(files),
    )
    return replace(model, projector_bytes=_projector_bytes(there, files[0]))


def _projector_bytes(there: Repository, file: str) -> int:
    """Bytes of the projector beside a file; 0 for none, or where the Hub does not say."""
    folder, _, name = file.rpartition("/")
    beside = {
        other.rpartition("/")[2]: known.size_bytes or 0
        for other, known in there.files.items()
        if other.rpartition("/")[0] == folder
    }
    part = PART.fullmatch(name)
    stem = part[1] if part else name[: -len(".gguf")]
    return next((beside[one] for one in fitting(stem, neighbours_of(beside))), 0)


def _folder_of(memory: RemoteMemory, there: Repository, wanted: str) -> RemoteModel:
    from modeldeck.engines.catalog.remote_folder import described_folder, state_of_folder

    contents = contents_of(there.files)
    if contents is None:
        raise _no_model()
    if wanted and wanted not in contents.weights:
        raise ModelNotFound(
            f"The repository has no “{clean_line(wanted, 60)}”: it holds one model in safetensors.",
            f"Leave it out: hf:{_named(there)}.",
        )
    if contents.companion:
        raise ModelNotFound(
            "The repository holds an adapter, which goes with a model.", "Judge that model."
        )
    if contents.pickles:
        raise FormatError(
            "The repository keeps its weights in pickles, which are not opened.",
            "Look for one with safetensors or GGUF files.",
        )
    if len(contents.weights) > _MOST_FILES:
        raise _too_many()
    return _model(
        memory,
        f"hf:{_named(there)}",
        there.url(""),
        state_of_folder(there, contents),
        (),
        lambda: described_folder(memory, there, contents),
    )


def _named(there: Repository) -> str:
    return there.name if there.revision == MAIN else f"{there.name}@{there.revision}"


def _from_ollama(memory: RemoteMemory, target: Target) -> RemoteModel:
    registry = registry_of(target.name)
    layers = read_manifest(memory.document(registry.manifest_url, MANIFEST))
    digests = [layer.digest for layer in layers if layer.kind == "model"]
    if not digests:
        raise FormatError(
            "Ollama keeps this model in a form that only it can run.", "Run it in Ollama."
        )
    model = _gguf(memory, target.text, [registry.blob_url(digests[0])], digests[0])
    sizes = [layer.size_bytes for layer in layers if layer.kind == "projector"]
    return replace(model, projector_bytes=next(iter(sizes), 0))


def _gguf(memory: RemoteMemory, name: str, urls: Sequence[str], listed: str = "") -> RemoteModel:
    if len(urls) > _MOST_PARTS:
        raise _too_many()
    return _model(
        memory, name, "\n".join(urls), listed, urls, partial(described_gguf, memory.web, urls)
    )


def _model(
    memory: RemoteMemory,
    name: str,
    key: str,
    listed: str,
    urls: Sequence[str],
    read: Callable[[], Described],
) -> RemoteModel:
    """A model; one that changes while it is read is begun again, once."""
    try:
        try:
            found = memory.described(key, listed, urls, read)
        except Changed:
            found = memory.described(key, listed, urls, read)
    except CutShort as cut:
        raise FormatError(
            f"The file on the server ends {cut.missing}.",
            "It was not published whole: look for another copy of the model.",
        ) from cut
    return RemoteModel(
        name, found.header, found.size_bytes, as_of=memory.as_of, outlines=found.outlines
    )


def all_parts(url: str) -> list[str]:
    """The addresses of all parts, when the one that is named is a part; else that one alone."""
    split = urlsplit(url)
    part = PART.fullmatch(split.path)
    if part is None or not 1 <= int(part[3]) <= _MOST_PARTS:
        return [url]
    count = int(part[3])
    return [
        split._replace(path=f"{part[1]}-{number:05}-of-{count:05}.gguf").geturl()
        for number in range(1, count + 1)
    ]


def _no_model() -> ModelNotFound:
    return ModelNotFound(
        "The repository has neither GGUF files nor safetensors with a configuration.",
        "Look for one that has.",
    )


def _too_many() -> FormatError:
    return FormatError("The model has too many parts.", "Download it, then judge it here.")
