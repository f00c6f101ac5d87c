"""What goes when models are deleted, what stays, and what else would break. Pure.

``deleting.plan`` looks at the stores and asks for such a plan, ``deleting.delete`` carries it out.
A name goes before what it names, so that a removal cut short leaves no name without content, only
content without a name, which ``prune`` finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from modeldeck.engines.catalog.folders import INDEX, PAPERS
from modeldeck.engines.house.held import Held, holds_another, names_of, snapshot_of
from modeldeck.engines.house.manifests import Manifest
from modeldeck.engines.house.stock import Entry, Identity, Stock
from modeldeck.engines.house.unnamed import emptied, unnamed_in_hub, unnamed_in_ollama
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, Source
from modeldeck.engines.units import file_size

_NAMED: Final = 4
_PUBLISHED: Final = PAPERS | {
    ".gitattributes",
    "added_tokens.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    INDEX,
}
"""What is published in the folder of a model beside its weights, and is of no use without them."""

_ABOUT: Final = frozenset({"README.md", "LICENSE", "LICENSE.txt", "NOTICE", "USE_POLICY.md"})
"""What is published about a model, and may be anything in a folder that is more than the model."""

_NOTES_OF_HUB: Final = (".cache", "huggingface", "download")
"""Where ``huggingface_hub`` notes what it downloaded into a plain folder."""

_NOTES: Final = (".json", ".etag")
"""What llama.cpp keeps beside a file that it downloaded (``common/download.cpp``)."""

Holders: TypeAlias = Mapping[Identity, Sequence[str]]
"""Who has a physical file open: ``llama-server (1234)``."""


class GoingName(NamedTuple):
    """A name that goes, if it is still that of the same file then."""

    path: Path
    device: int
    inode: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Removal:
    """A plan to delete models.

    Attributes:
        titles: what is deleted, for people.
        names: every name that goes, in the order it goes.
        folders: removed too where they are empty then, the deepest first.
        manifests: those of Ollama's among the names.
        freed_bytes: that the disk gets back, once the trash is emptied.
        staying_bytes: of contents that lose a name and keep another.
        remarks: what else would break, what stays and why; sentences.
    """

    titles: tuple[str, ...]
    names: tuple[GoingName, ...]
    folders: tuple[Path, ...]
    manifests: tuple[Manifest, ...]
    freed_bytes: int
    staying_bytes: int
    remarks: tuple[str, ...]

    @property
    def question(self) -> str:
        """What to ask before it is done."""
        what = self.titles[0] if len(self.titles) == 1 else f"{len(self.titles)} models"
        return f"Delete {what} ({file_size(self.freed_bytes)})?"


def plan_removal(
    wanted: Sequence[Held],
    models: Sequence[LocalModel],
    stock: Stock,
    holders: Holders | None = None,
) -> Removal:
    """What deleting ``wanted`` means.

    Args:
        wanted: the names to delete (``held.every_name``, ``held.meant_by``).
        models: all that are listed, to tell what else needs the same files.
        stock: the stores as they are now.
        holders: who has which files open, where that is known (``in_use.holders_of``).
    """
    others = [held for held in names_of(models, stock) if held not in wanted]
    remarks: list[str] = []
    manifests = tuple(_manifests(wanted, stock))
    going: dict[Path, None] = dict.fromkeys(one.path for one in manifests)
    for held in wanted:
        if held.source is not Source.OLLAMA:
            going |= dict.fromkeys(_files(held, others, stock, remarks))
    if manifests:
        unnamed = unnamed_in_ollama(stock, going.keys())
        mine = {blob for one in manifests for blob in one.blobs}
        going |= dict.fromkeys(path for path in unnamed.paths if path in mine)
        remarks += unnamed.kept
        remarks += _shared_blobs(manifests, stock, going.keys())
    for repository in _repositories(wanted):
        going |= dict.fromkeys(_unnamed_now(repository, stock, going.keys()))
    entries = [stock.by_path[path] for path in going if path in stock.by_path]
    freed, staying = _freed(entries, stock, remarks)
    remarks += _broken_links(entries, stock)
    remarks += _drafts(wanted, others)
    remarks += _only_links(entries)
    remarks += _held_open(entries, holders or {})
    return Removal(
        titles=tuple(dict.fromkeys(held.name for held in wanted)),
        names=tuple(GoingName(e.path, e.device, e.inode, e.size_bytes) for e in entries),
        folders=emptied({entry.path for entry in entries}, stock),
        manifests=manifests,
        freed_bytes=freed,
        staying_bytes=staying,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _manifests(wanted: Sequence[Held], stock: Stock) -> Iterator[Manifest]:
    for held in wanted:
        if held.source is Source.OLLAMA:
            for manifest in stock.manifests:
                if manifest.name == held.name and (
                    held.path in manifest.blobs or held.path == manifest.path
                ):
                    yield manifest


def _files(held: Held, others: Sequence[Held], stock: Stock, remarks: list[str]) -> Iterator[Path]:
    """The names of one model outside Ollama's store: links of a snapshot, or files."""
    needed = {file for other in others for file in other.files}
    yield from (file for file in held.files if file not in needed)
    if held.projector is not None:
        users = [other.name for other in others if other.projector == held.projector]
        if users:
            remarks.append(f"The projector stays: {_listed(users)} needs it.")
        else:
            yield held.projector
    if held.source is Source.LLAMA_CPP:
        for file in held.files:
            notes = (file.with_name(f"{file.name}{ending}") for ending in _NOTES)
            yield from (path for path in notes if path in stock.by_path)
    folder = snapshot_of(held.path) or (held.path if held.is_folder else None)
    if folder is None or holds_another(folder, held, others, stock):
        return
    beside = [entry.path for entry in stock.entries if folder in entry.path.parents]
    if snapshot_of(held.path) is None:
        left = len(beside)
        is_store = any(place.path == folder for place in stock.places)
        beside = [path for path in beside if _published(path, folder, is_store=is_store)]
        left -= len({*beside, *held.files, held.projector} - {None})
        if left > 0:
            remarks.append(f"Other files in {clean_line(str(folder))} stay: {left}.")
    yield from beside


def _published(path: Path, folder: Path, *, is_store: bool) -> bool:
    """Whether a file came with the model; in a store's own folder only what lies in it itself."""
    inside = path.relative_to(folder).parts
    if path.parent == folder:
        is_known = path.name in _PUBLISHED or path.name.endswith(".safetensors.index.json")
        return is_known or (path.name in _ABOUT and not is_store)
    notes = inside[: len(_NOTES_OF_HUB)] == _NOTES_OF_HUB
    return notes and not is_store


def _repositories(wanted: Sequence[Held]) -> Iterator[Path]:
    snapshots = (snapshot_of(held.path) for held in wanted if held.source is Source.HUGGING_FACE)
    yield from dict.fromkeys(one.parent.parent for one in snapshots if one is not None)


def _unnamed_now(repository: Path, stock: Stock, going: AbstractSet[Path]) -> Iterator[Path]:
    """What only the names that go have named; what nothing named before is for ``prune``."""
    before = {*unnamed_in_hub(repository, stock, frozenset())}
    yield from (p for p in unnamed_in_hub(repository, stock, going) if p not in before)


def _freed(entries: Sequence[Entry], stock: Stock, remarks: list[str]) -> tuple[int, int]:
    """Bytes that are freed, and bytes that stay because the file has another name."""
    names: dict[Identity, list[Entry]] = {}
    for entry in entries:
        if not entry.is_link:
            names.setdefault(entry.identity, []).append(entry)
    freed = staying = 0
    for identity, going in names.items():
        if len(going) >= going[0].links:
            freed += going[0].allocated_bytes
            continue
        staying += going[0].allocated_bytes
        gone = {entry.path for entry in going}
        known = [e for e in stock.by_identity.get(identity, ()) if e.path not in gone]
        where = _listed([clean_line(str(e.path)) for e in known]) if known else "outside the stores"
        remarks.append(
            f"{file_size(going[0].allocated_bytes)} of {clean_line(going[0].path.name, 80)} "
            f"stay: the file has another name, {where}."
        )
    return freed, staying


def _shared_blobs(
    manifests: Sequence[Manifest], stock: Stock, going: AbstractSet[Path]
) -> Iterator[str]:
    """Which weights of Ollama's stay because another of its models has them."""
    for manifest in manifests:
        kept = {blob for blob in manifest.blobs if blob not in going and blob in stock.by_path}
        large = [blob for blob in kept if stock.by_path[blob].size_bytes > 1_000_000]
        users = [
            one.name
            for one in stock.manifests
            if one.path not in going and not {*large}.isdisjoint(one.blobs)
        ]
        if large and users:
            size = sum(stock.by_path[blob].allocated_bytes for blob in large)
            yield f"{file_size(size)} of {manifest.name} stay: {_listed(users)} in Ollama has them."


def _broken_links(entries: Sequence[Entry], stock: Stock) -> Iterator[str]:
    gone = {entry.path for entry in entries}
    for entry in entries:
        links = [link.path for link in stock.links_to.get(entry.path, ()) if link.path not in gone]
        if links and not entry.is_link:
            yield f"Would lead nowhere: the link {_listed([clean_line(str(p)) for p in links])}."


def _drafts(wanted: Sequence[Held], others: Sequence[Held]) -> Iterator[str]:
    folders = {held.path.parent for held in wanted if held.source is not Source.OLLAMA}
    for other in others:
        if other.path.parent in folders and "draft" in other.path.name.lower():
            yield f"{other.name}, which lies beside it, stays."


def _only_links(entries: Sequence[Entry]) -> Iterator[str]:
    gone = {entry.path for entry in entries}
    for entry in entries:
        to = entry.leads_to
        if to is None or to in gone or entry.broken:
            continue
        if entry.source not in (Source.HUGGING_FACE, Source.OLLAMA):
            name = clean_line(entry.path.name, 80)
            yield f"{name} is a link; what it leads to stays: {clean_line(str(to))}."


def _held_open(entries: Iterable[Entry], holders: Holders) -> Iterator[str]:
    users = dict.fromkeys(who for entry in entries for who in holders.get(entry.identity, ()))
    if users:
        yield f"It is open now in {_listed(list(users))}: the space is free when that ends."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
