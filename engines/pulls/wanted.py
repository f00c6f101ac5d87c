"""What a target comes to: which files, where they are, and what they should be.

Names of files come from outside: one that would lead out of the folder it is put into is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, cast
from urllib.parse import unquote, urlsplit

from modeldeck.engines.catalog.folders import PAPERS, contents_of
from modeldeck.engines.catalog.ollama import Layer, read_manifest
from modeldeck.engines.catalog.projectors import fitting, neighbours_of
from modeldeck.engines.catalog.remote import all_parts
from modeldeck.engines.catalog.remote_choice import PART, choose_files, is_model_file
from modeldeck.engines.catalog.remote_hub import (
    MAIN,
    HubFile,
    Repository,
    branches,
    endpoint_of,
    gated,
    login_of,
    offline_by,
    other_branches,
    repository,
)
from modeldeck.engines.catalog.remote_memory import RemoteMemory
from modeldeck.engines.catalog.remote_ollama import MANIFEST, Registry, registry_of
from modeldeck.engines.catalog.targets import Target, TargetKind
from modeldeck.engines.errors import FormatError, ModelNotFound
from modeldeck.engines.formats.http_source import validator
from modeldeck.engines.formats.web import Login, Patience, Reply, Web, web_of
from modeldeck.engines.formats.web_errors import Refused, broken
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.types import Destination, Layout, Wanted, WantedFile
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import MIB

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_STATE: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ETAG: Final = re.compile(r"[\w.-]{1,128}", re.ASCII)
_LENGTH: Final = re.compile(r"\d{1,15}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_NAME: Final = 240
_MOST_FILES: Final = 4096
_LARGEST_PAPER_BYTES: Final = 64 * MIB
_PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_WEIGHTS: Final = (
    *(".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".onnx_data", ".h5"),
    *(".msgpack", ".ot", ".tflite", ".pkl", ".pickle", ".nemo", ".npz", ".mlmodel", ".data"),
)


def login_for(target: Target, environ: Mapping[str, str]) -> Login | None:
    """The token for a target's server, from where the ecosystem keeps it. Raises SettingsError."""
    return login_of(endpoint_of(environ), environ) if target.kind is TargetKind.HUB else None


def wanted(
    target: Target,
    destination: Destination,
    environ: Mapping[str, str],
    *,
    pickles: bool = False,
    patience: Patience | None = None,
) -> Wanted:
    """Everything that a pull of ``target`` brings. Asks the server; blocks.

    Args:
        target: of the Hub, of Ollama, or an address.
        destination: where it goes.
        environ: as ``remote_models`` reads it.
        pickles: weights in pickles are wanted too; opening one runs what its author wrote.
        patience: with the server.

    Raises:
        ModelNotFound: there is no such model.
        FormatError: the server or what it says is not sound.
        PullError: it cannot go there, or should not be had.
        SettingsError: ``HF_ENDPOINT`` is no address.
    """
    with web_of(login_for(target, environ), patience) as web:
        web.offline = target.kind is TargetKind.HUB and offline_by(environ)
        memory = RemoteMemory(web, None)
        match target.kind:
            case TargetKind.HUB:
                try:
                    return _of_hub(memory, target, destination, endpoint_of(environ), pickles)
                except Refused as refused:
                    if refused.status not in (401, 403):
                        raise
                    raise gated(endpoint_of(environ), target.name) from refused
            case TargetKind.OLLAMA:
                return _of_ollama(memory, target, destination)
            case TargetKind.URL:
                return _of_address(target, destination)
            case _:
                raise ModelNotFound(
                    f"“{target.text}” names nothing that could be downloaded.",
                    "Write hf:owner/name, ollama:name:tag or an address.",
                )


def sound_name(name: str) -> str:
    """A file's name as its registry writes it.

    Raises:
        PullError: it leads out of its folder, is hidden, or has no business in a file system.
    """
    parts = name.split("/")
    sound = (
        0 < len(name) <= 4 * _MOST_NAME
        and all(part not in ("", ".", "..") and len(part.encode()) <= _MOST_NAME for part in parts)
        and "\\" not in name
        and name.isprintable()
        and not PurePosixPath(name).is_absolute()
        and not any(part.startswith(".") for part in parts)
    )
    if not sound:
        raise PullError(
            f"The repository has a file named “{clean_line(name, 80)}”, which may not be written.",
            "Do not use that repository: such a name is a trick or a mistake.",
        )
    return name


def _of_hub(
    memory: RemoteMemory, target: Target, destination: Destination, endpoint: str, pickles: bool
) -> Wanted:
    if destination.layout is Layout.OLLAMA_STORE:
        raise PullError(
            "Ollama keeps models under names of a registry.",
            f"Write ollama:hf.co/{target.name}, or import the file after it has come.",
        )
    there = repository(memory, endpoint, target.name, target.revision or MAIN)
    if target.file in there.files and not _is_of_model(target.file):
        names, title = [_allowed(target.file, pickles)], target.file.rpartition("/")[2]
        exact = f"hf:{_named(there)}:{target.file}"
    elif any(name.lower().endswith(".gguf") for name in there.files):
        files = choose_files(there.files, target.file)[0]
        names = [*files, *_projector(there, files[0])]
        exact = f"hf:{_named(there)}:{files[0]}"
        title = files[0].rpartition("/")[2]
    else:
        names = _folder(memory, there, target, pickles)
        exact, title = f"hf:{_named(there)}", there.name
    return Wanted(
        target=clean_line(exact, 300),
        title=clean_line(title, 120),
        repository=there.name,
        revision=there.revision,
        commit=there.commit,
        files=tuple(_hub_file(memory.web, there, name) for name in names),
        destination=destination,
    )


def _is_of_model(name: str) -> bool:
    """Whether a file's name stands for the model that it is a part of."""
    return is_model_file(name) or name.lower().endswith(".safetensors")


def _allowed(name: str, pickles: bool) -> str:
    """A file asked for by its name. Raises PullError for a pickle that nobody asked for."""
    if name.lower().endswith(_PICKLES) and not pickles:
        raise _pickled("The file is a pickle")
    return name


def _pickled(what: str) -> PullError:
    return PullError(
        f"{what}, which can run anything when opened.",
        "Look for one with safetensors, or add --pickles if you trust its author.",
    )


def _hub_file(web: Web, there: Repository, name: str) -> WantedFile:
    known = there.files[name]
    url = (_pinned(there) if there.commit else there).url(sound_name(name))
    size_bytes, state = known.size_bytes, known.state
    if not _STATE.fullmatch(state):
        asked_bytes, state = _asked(web, url)
        size_bytes = asked_bytes if size_bytes is None else size_bytes
    digest = state if _SHA256.fullmatch(state) else ""
    return WantedFile(name, url, size_bytes, digest, state)


def _asked(web: Web, url: str) -> tuple[int | None, str]:
    """Size and state of a file by the server itself, where its listing does not say.

    Some tell them with the head alone, others with a part of the file.
    """
    for method, headers in (("HEAD", {}), ("GET", {"Range": "bytes=0-0"})):
        with web.request(url, headers, method=method) as reply:
            if method == "GET":
                reply.refuse_failure()
            state = validator(reply).strip('"')
            if reply.status < 400 and _ETAG.fullmatch(state) and ".." not in state:
                return (_length(reply) if method == "HEAD" else None), state
    raise broken(url, "it has no sound name for the state of the file")


def _length(reply: Reply) -> int | None:
    said = reply.headers.get("X-Linked-Size") or reply.linked.get("X-Linked-Size")
    if said is None and reply.status == 200:
        said = reply.headers.get("Content-Length")
    return int(said) if said is not None and _LENGTH.fullmatch(said) else None


def _pinned(there: Repository) -> Repository:
    return Repository(
        there.endpoint,
        there.name,
        there.commit,
        there.files,
        there.has_chat_template,
        there.commit,
    )


def _projector(there: Repository, file: str) -> Sequence[str]:
    """The projector that goes with a GGUF file."""
    folder, _, name = file.rpartition("/")
    lead = f"{folder}/" if folder else ""
    beside = [
        other.removeprefix(lead) for other in there.files if other.rpartition("/")[0] == folder
    ]
    part = PART.fullmatch(name)
    stem = part[1] if part else name[: -len(".gguf")]
    return [f"{lead}{one}" for one in fitting(stem, neighbours_of(beside))[:1]]


def _folder(memory: RemoteMemory, there: Repository, target: Target, pickles: bool) -> list[str]:
    """All that belongs to a model in safetensors: weights, papers, tokenizer, templates."""
    contents = contents_of(there.files)
    if contents is None:
        found = [] if target.revision else branches(memory, there.endpoint, there.name)
        raise ModelNotFound(
            "The repository has neither GGUF files nor safetensors with a configuration.",
            other_branches(there.name, found) if found else "Look for one that has.",
        )
    if contents.pickles and not pickles:
        raise _pickled("The repository keeps its weights in pickles")
    if target.file and target.file not in contents.weights:
        raise ModelNotFound(
            f"The repository has no “{clean_line(target.file, 60)}”.",
            f"Leave it out: hf:{_named(there)}.",
        )
    if contents.missing:
        raise FormatError(
            f"The repository has {len(contents.weights)} of {contents.parts} parts of the model.",
            "Look for another copy of it.",
        )
    others = [name for name in sorted(there.files) if _is_paper(name, there.files[name])]
    return [*others, *contents.weights]


def _is_paper(name: str, file: HubFile) -> bool:
    if any(part.startswith(".") for part in name.split("/")):
        return False  # what is for git
    if name.lower().endswith(_WEIGHTS):
        return False
    if (file.size_bytes or 0) <= _LARGEST_PAPER_BYTES:
        return True
    if name in PAPERS:
        size = f"{(file.size_bytes or 0) // MIB:,} MiB"
        raise PullError(
            f"“{clean_line(name, 60)}” of the repository has {size}.",
            "Do not use that repository: such a file is a trick or a mistake.",
        )
    return False


def _named(there: Repository) -> str:
    return there.name if there.revision == MAIN else f"{there.name}@{there.revision}"


def _of_ollama(memory: RemoteMemory, target: Target, destination: Destination) -> Wanted:
    registry = registry_of(target.name)
    sound_name(f"{registry.repository}/{registry.tag}")
    manifest = memory.document(registry.manifest_url, MANIFEST)
    layers = read_manifest(manifest)
    if not any(layer.kind == "model" for layer in layers):
        raise FormatError(
            "Ollama keeps this model in a form that only it can run.", "Pull it with Ollama."
        )
    stored = destination.layout is Layout.OLLAMA_STORE
    files = _blobs(registry, layers, manifest) if stored else _weights(registry, layers, target)
    return Wanted(
        target=target.text,
        title=clean_line(target.name, 120),
        repository=f"{registry.host}/{registry.repository}",
        revision=registry.tag,
        commit="",
        files=tuple(files),
        destination=destination,
        manifest=manifest if stored else b"",
    )


def _blobs(registry: Registry, layers: Sequence[Layer], manifest: bytes) -> Iterator[WantedFile]:
    """Every layer and the configuration, under the names of Ollama's store."""
    found = {layer.digest: layer.size_bytes or None for layer in layers}
    whole: dict[str, object] = json.loads(manifest)
    if isinstance(config := whole.get("config"), dict):
        table = cast("dict[str, object]", config)
        if _DIGEST.fullmatch(str(table.get("digest"))):
            size = table.get("size")
            known = size if isinstance(size, int) and 0 < size <= _LARGEST_PAPER_BYTES else None
            found.setdefault(str(table["digest"]), known)
    for digest, size_bytes in found.items():
        name = digest.replace(":", "-")
        digits = digest.partition(":")[2]
        yield WantedFile(name, registry.blob_url(digest), size_bytes, digits, digits)


def _weights(registry: Registry, layers: Sequence[Layer], target: Target) -> Iterator[WantedFile]:
    """The GGUF files alone, named after the model."""
    name = re.sub(r"[^\w.-]+", "-", target.name.rpartition("/")[2])
    leads = {"model": "", "projector": "mmproj-"}
    for layer in layers:
        if layer.kind in leads:
            digits = layer.digest.partition(":")[2]
            yield WantedFile(
                sound_name(f"{leads[layer.kind]}{name}.gguf"),
                registry.blob_url(layer.digest),
                layer.size_bytes or None,
                digits,
                digits,
            )


def _of_address(target: Target, destination: Destination) -> Wanted:
    if "@" in urlsplit(target.name).netloc:
        raise PullError(
            "The address has a user or a password in it, which would be kept and shown.",
            "Give it without them.",
        )
    if destination.layout is not Layout.FOLDER:
        raise PullError(
            "A file at an address belongs to no repository.", "Pull it into a folder: --to FOLDER."
        )
    files = [
        WantedFile(sound_name(unquote(urlsplit(url).path).rpartition("/")[2]), url, None)
        for url in all_parts(target.name)
    ]
    title = clean_line(files[0].name, 120)
    return Wanted(target.text, title, "", "", "", tuple(files), destination)
