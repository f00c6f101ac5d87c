"""Whether what is here is what its publisher has now: asked of the Hub and of Ollama's registry.

Files of the Hugging Face cache are named by what the Hub names their content by, Ollama's layers by
their digests: only names are compared, nothing is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

from modeldeck.engines.catalog.hub import SNAPSHOTS
from modeldeck.engines.catalog.ollama import Layer, read_manifest
from modeldeck.engines.catalog.receipts import Receipt
from modeldeck.engines.catalog.remote_hub import (
    MAIN,
    Repository,
    endpoint_of,
    login_of,
    offline_by,
    repository,
)
from modeldeck.engines.catalog.remote_memory import RemoteMemory
from modeldeck.engines.catalog.remote_ollama import MANIFEST, registry_of
from modeldeck.engines.errors import FormatError, ModeldeckError, ModelNotFound
from modeldeck.engines.formats.web import Patience, web_of
from modeldeck.engines.formats.web_errors import Refused, Unreachable
from modeldeck.engines.house.manifests import BLOBS, Manifest
from modeldeck.engines.house.stock import Entry, Stock
from modeldeck.engines.text import clean_line

AT_ONCE: Final = 6
"""Questions under way at the same time."""

PATIENCE: Final = Patience(
    connect_seconds=4.0, step_seconds=8.0, request_seconds=15.0, whole_seconds=30.0, tries=2
)
"""With each server: nobody waits long for news."""

_WEIGHTS: Final = (".gguf", ".safetensors", ".bin", ".pt", ".pth")


FOLDER: Final = "folder"
_OLLAMA: Final = "ollama:"


class State(StrEnum):
    """How what is here stands to what is there."""

    CURRENT = "current"
    NEWER = "newer"
    GONE = "gone"
    LOCAL = "local"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Local:
    """What is here of one published model.

    Attributes:
        name: repository, with ``@`` and the branch where it is not ``main``; or Ollama's name.
        source: ``hugging-face``, ``ollama``, or ``folder`` for what was pulled into a plain one.
        version: the commit, or the manifest's digest, as they are here.
        parts: what tells each file or layer from another version, by its name or kind.
        target: what ``modeldeck pull`` takes.
        folder: the plain folder that it was pulled into; empty for a store.
    """

    name: str
    source: str
    version: str
    parts: Mapping[str, str]
    target: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """The answer for one model.

    Attributes:
        local: what is here.
        state: how it stands.
        version: what is there now; empty when unknown.
        changed: files or layers that differ, weights first.
        note: why it is not known, or what else there is to say; a sentence or empty.
        unreachable: no server answered.
    """

    local: Local
    state: State
    version: str = ""
    changed: tuple[str, ...] = ()
    note: str = ""
    unreachable: bool = False


def here(stock: Stock, receipts: Iterable[Receipt] = ()) -> tuple[Local, ...]:
    """What is published somewhere: revisions that a branch names, manifests, what was pulled.

    Args:
        stock: of the stores.
        receipts: of files in plain folders.
    """
    found = (*_of_hub(stock), *_of_ollama(stock), *_of_folders(receipts))
    return tuple(sorted(found, key=lambda one: (one.source, one.name)))


def _of_folders(receipts: Iterable[Receipt]) -> Iterator[Local]:
    """What one pull brought into a plain folder belongs together."""
    pulls: dict[tuple[str, str], list[Receipt]] = {}
    for receipt in receipts:
        pulls.setdefault((receipt.target, receipt.folder), []).append(receipt)
    for (target, folder), found in pulls.items():
        newest = max(found, key=lambda one: one.mtime_ns)
        if target.startswith(_OLLAMA):
            name = target.removeprefix(_OLLAMA)
            parts = {_kind(one.name): f"sha256:{one.state}" for one in found}
        else:
            branch = "" if newest.revision in ("", MAIN) else f"@{newest.revision}"
            name = f"{newest.repository}{branch}"
            parts = {one.name: one.state for one in found}
        yield Local(name, FOLDER, newest.commit, parts, target, folder)


def _kind(name: str) -> str:
    """The layer that a file of a model of Ollama is."""
    return "projector" if name.startswith("mmproj-") else "model"


def _of_hub(stock: Stock) -> Iterator[Local]:
    for ref in stock.refs:
        folder = next((up for up in ref.path.parents if up.name.startswith("models--")), None)
        if folder is None:
            continue
        snapshot = folder / SNAPSHOTS / ref.revision
        parts = {
            str(entry.path.relative_to(snapshot)): state
            for entry in stock.by_repository.get(folder, ())
            if snapshot in entry.path.parents and (state := _etag(entry))
        }
        if parts:
            branch = str(ref.path.relative_to(folder / "refs"))
            name = folder.name.removeprefix("models--").replace("--", "/", 1)
            name += "" if branch == MAIN else f"@{branch}"
            yield Local(name, "hugging-face", ref.revision, parts, f"hf:{name}")


def _etag(entry: Entry) -> str:
    """What the cache names a file by: its blob's name."""
    blob = entry.leads_to
    return blob.name if blob is not None and blob.parent.name == BLOBS else ""


def _of_ollama(stock: Stock) -> Iterator[Local]:
    seen: set[tuple[Path, str]] = set()
    for manifest in stock.manifests:
        if manifest.sound and (manifest.store, manifest.name) not in seen and _is_named(manifest):
            seen.add((manifest.store, manifest.name))
            try:
                layers = read_manifest(manifest.path.read_bytes())
            except (OSError, FormatError):
                continue
            parts = _parts(layers)
            target = f"ollama:{manifest.name}"
            yield Local(manifest.name, "ollama", manifest.own_digest, parts, target)


def _is_named(manifest: Manifest) -> bool:
    return ":" in manifest.name and not manifest.name.startswith("/")


def _parts(layers: Sequence[Layer]) -> dict[str, str]:
    found: dict[str, str] = {}
    for layer in layers:
        kind = layer.kind
        while kind in found:
            kind += "+"
        found[kind] = layer.digest
    return found


def compare(local: Local, version: str, there: Mapping[str, str]) -> Update:
    """What differs between what is here and what is there. Pure.

    A file that is here and there under another state has changed, one that is there no more is
    gone. What is only there does not count, except layers of Ollama: there all belong together.
    """
    whole = local.source == "ollama"
    names = {*local.parts, *there} if whole else {*local.parts}
    changed = sorted(
        (name for name in names if local.parts.get(name) != there.get(name)), key=_weights_first
    )
    gone = [name for name in changed if name not in there and not whole]
    shown = tuple(clean_line(name, 120) for name in changed)
    if gone and len(gone) == len(local.parts):
        return Update(local, State.GONE, version, shown, "None of its files is published any more.")
    if not changed:
        moved = version and version != local.version and not whole
        note = "Other files of the repository changed." if moved else ""
        return Update(local, State.CURRENT, version, (), note)
    return Update(local, State.NEWER, version, shown)


def _weights_first(name: str) -> tuple[bool, str]:
    return not (name.endswith(_WEIGHTS) or name == "model"), name


def ask_all(
    locals_: Sequence[Local],
    environ: Mapping[str, str],
    patience: Patience = PATIENCE,
    on_answer: Callable[[Update], None] = lambda _: None,
) -> tuple[Update, ...]:
    """Ask for all of them, several at a time; in the same order.

    What cannot be asked is ``UNKNOWN``, with the reason.

    Raises:
        SettingsError: ``HF_ENDPOINT`` is no address.
    """
    endpoint = endpoint_of(environ)

    def answered(local: Local) -> Update:
        update = _asked(local, endpoint, environ, patience)
        on_answer(update)
        return update

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="updates") as threads:
        return tuple(threads.map(answered, locals_))


def _asked(local: Local, endpoint: str, environ: Mapping[str, str], patience: Patience) -> Update:
    on_hub = local.target.startswith("hf:")
    ask = partial(_ask_hub, endpoint) if on_hub else _ask_ollama
    login = login_of(endpoint, environ) if on_hub else None
    try:
        with web_of(login, patience) as web:
            web.offline = on_hub and offline_by(environ)
            return ask(RemoteMemory(web, None), local)
    except ModelNotFound as error:
        return Update(local, State.GONE, note=error.cause)
    except Unreachable as error:
        return Update(local, State.UNKNOWN, note=error.cause, unreachable=True)
    except Refused as refused:
        if local.source == "ollama" and refused.status in (401, 404):
            return Update(local, State.LOCAL, note="No registry has it: it was made here.")
        return Update(local, State.UNKNOWN, note=refused.cause)
    except ModeldeckError as error:
        return Update(local, State.UNKNOWN, note=error.cause)


def _ask_hub(endpoint: str, memory: RemoteMemory, local: Local) -> Update:
    name, _, branch = local.name.partition("@")
    there: Repository = repository(memory, endpoint, name, branch or MAIN)
    states = {file: known.state for file, known in there.files.items()}
    if any(file in states and not states[file] for file in local.parts):
        if not there.commit:
            return Update(local, State.UNKNOWN, note="The server tells no versions.")
        same = there.commit == local.version
        state = State.CURRENT if same else State.NEWER
        note = "" if same else "The repository changed; the server does not say which files."
        return Update(local, state, there.commit, note=note)
    return compare(local, there.commit, states)


def _ask_ollama(memory: RemoteMemory, local: Local) -> Update:
    import hashlib

    data = memory.document(registry_of(local.name).manifest_url, MANIFEST)
    update = compare(local, hashlib.sha256(data).hexdigest(), _parts(read_manifest(data)))
    return replace(update, version=local.version) if update.state is State.CURRENT else update
