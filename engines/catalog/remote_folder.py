"""The header of a repository of safetensors, by small requests: configuration and tensor tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from modeldeck.engines.catalog.folders import CONFIG, INDEX, OWN_FILES, TEMPLATE, Contents
from modeldeck.engines.catalog.remote_hub import Repository
from modeldeck.engines.catalog.remote_memory import Described, RemoteMemory
from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.http_source import HttpSource
from modeldeck.engines.formats.safetensors import SafeTensor, read_safetensors
from modeldeck.engines.formats.web import Web
from modeldeck.engines.text import clean_line

MOST_PAPER_BYTES: Final = 4 << 20
"""Of a configuration; the largest known is under 200 kB."""

_MOST_AHEAD_BYTES: Final = 8 << 20
_LENGTH_BYTES: Final = 8


def described_folder(memory: RemoteMemory, repository: Repository, contents: Contents) -> Described:
    """What the files say, nothing but their headers read. Raises FormatError."""
    from modeldeck.engines.formats.folder import header_of_folder

    if contents.missing:
        raise FormatError(
            f"The repository has {len(contents.weights)} of {contents.parts} parts.",
            "Wait until all are there, or look for another one.",
        )
    config = _paper(memory, repository, CONFIG)
    own_file = None
    if "quantization_config" not in config:
        own_file = next(
            (_paper(memory, repository, name) for name in OWN_FILES if name in contents.papers),
            None,
        )
    template = repository.has_chat_template or TEMPLATE in contents.papers
    weights = _weights(memory, repository, contents)
    files = Files(memory.web, [repository.url(name) for name in weights])
    header = header_of_folder(config, own_file, files.tensors(), has_chat_template=template)
    return Described(header, files.size_bytes, "")


class Files:
    """Files of safetensors elsewhere.

    Attributes:
        size_bytes: of those that were read.
    """

    def __init__(self, web: Web, urls: Sequence[str]) -> None:
        self.size_bytes = 0
        self._web = web
        self._urls = urls

    def tensors(self) -> Iterator[SafeTensor]:
        """All of them, one by one. Raises FormatError."""
        for url in self._urls:
            with HttpSource(self._web, url) as source:
                self.size_bytes += source.size_bytes
                # A header says its length: the rest of it comes with one more request.
                length = int.from_bytes(source.read_at(0, _LENGTH_BYTES), "little")
                source.read_at(0, min(_LENGTH_BYTES + length, _MOST_AHEAD_BYTES))
                yield from read_safetensors(source)


def state_of_folder(repository: Repository, contents: Contents) -> str:
    """What tells the files from later ones; empty where the Hub does not say."""
    return repository.state([*contents.papers, *contents.weights])


def _weights(memory: RemoteMemory, repository: Repository, contents: Contents) -> Sequence[str]:
    """The files that are loaded: those in the index, where their names do not say it."""
    known = repository.files[INDEX].size_bytes if INDEX in contents.papers else None
    if contents.parts > 1 or len(contents.weights) < 2 or (known or 0) > MOST_PAPER_BYTES:
        return contents.weights
    if INDEX not in contents.papers:
        return contents.weights
    table = _paper(memory, repository, INDEX).get("weight_map")
    parts = cast("dict[str, object]", table).values() if isinstance(table, dict) else ()
    named = {name for name in parts if isinstance(name, str)}
    return [name for name in contents.weights if name in named] or contents.weights


def _paper(memory: RemoteMemory, repository: Repository, name: str) -> Mapping[str, object]:
    """A JSON object of the repository. Raises FormatError."""
    from modeldeck.engines.formats.json_text import object_of

    known = repository.files[name].size_bytes
    if known is not None and known > MOST_PAPER_BYTES:
        raise FormatError(
            f"Its {clean_line(name, 80)} has {known:,} bytes; no more than"
            f" {MOST_PAPER_BYTES >> 20} MiB are read.",
            "Look for another repository of the model.",
        )
    data = memory.document(repository.url(name), "application/json", MOST_PAPER_BYTES)
    return object_of(data, f"Its {clean_line(name, 80)}")
