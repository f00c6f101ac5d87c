"""What the Hub place knows, as frozen records; every change is a new record. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from modeldeck.engines.fit.types import Verdict
    from modeldeck.engines.types import ModelFormat, ModelHeader


class Source(StrEnum):
    """Where models are looked for."""

    HUB = "hub"
    OLLAMA = "ollama"

    @property
    def titled(self) -> str:
        """As people call it."""
        return "Hugging Face Hub" if self is Source.HUB else "Ollama's library"

    def other(self) -> Source:
        """The other one."""
        return Source.OLLAMA if self is Source.HUB else Source.HUB


KINDS = ("", "gguf", "safetensors", "gptq", "awq", "exl2", "exl3")
"""Formats of weights that a search can be cut down to; the first is all of them."""
SORTS = ("trending", "downloads", "likes", "updated")
"""How the Hub sorts."""


class Trouble(NamedTuple):
    """Why something could not be had: a cause and the next step."""

    cause: str
    next_step: str = ""


class Wait(NamedTuple):
    """A server has asked for patience.

    Attributes:
        seconds: that it asked for.
        until: when it is asked again, in seconds since 1970.
    """

    seconds: float = 0.0
    until: float = 0.0


class Asked(NamedTuple):
    """One search.

    Attributes:
        source: of the answers.
        text: to look for; empty: everything.
        kind: of ``KINDS``.
        sort: of ``SORTS``.
    """

    source: Source = Source.HUB
    text: str = ""
    kind: str = "gguf"
    sort: str = SORTS[0]

    def next_kind(self) -> Asked:
        """The same for the next format."""
        return self._replace(kind=KINDS[(KINDS.index(self.kind) + 1) % len(KINDS)])

    def next_sort(self) -> Asked:
        """The same in the next order."""
        return self._replace(sort=SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)])

    def elsewhere(self) -> Asked:
        """The same in the other source."""
        return self._replace(source=self.source.other())


class Repository(NamedTuple):
    """One repository that was found.

    Attributes:
        name: ``owner/name``, or the name in Ollama's library.
        formats: of its weights, as the hub says; may be empty.
        parameters: of the model; None where nobody says.
        downloads: of late; None where nobody says.
        likes: None where nobody says.
        updated: when it changed last, in seconds since 1970; None where nobody says.
        task: what it is for, as the hub calls it; may be empty.
        gated: it is given to those who asked for it.
        note: a sentence about it; may be empty.
    """

    name: str
    formats: tuple[str, ...] = ()
    parameters: int | None = None
    downloads: int | None = None
    likes: int | None = None
    updated: float | None = None
    task: str = ""
    gated: bool = False
    note: str = ""


class Page(NamedTuple):
    """A part of the answer to a search.

    Attributes:
        found: in the order of the source.
        next_page: what asks for the next part; empty at the end.
        as_of: when this was true, in seconds since 1970, where the source cannot be reached now.
    """

    found: tuple[Repository, ...] = ()
    next_page: str = ""
    as_of: float | None = None


class Variant(NamedTuple):
    """One variant of a repository: what one pull brings.

    Attributes:
        target: that names exactly it, as ``modeldeck pull`` takes it.
        label: what tells it from the others: its quantisation, or its file.
        size_bytes: of all its files; None while it is not known.
        format: of the weights; None while it is not known.
        header: None while it is read.
        projector_bytes: of the projector that comes with it; 0 for none.
        trouble: why it cannot be judged.
        verdict: None while it is judged.
    """

    target: str
    label: str
    size_bytes: int | None = None
    format: ModelFormat | None = None
    header: ModelHeader | None = None
    projector_bytes: int = 0
    trouble: Trouble | None = None
    verdict: Verdict | None = None


class Best(NamedTuple):
    """The variant that is best for the card, and why."""

    target: str
    reason: str


class Opened(NamedTuple):
    """The repository that is looked into.

    Attributes:
        repository: as it was found.
        variants: in the order shown.
        listing: its variants are still asked for.
        trouble: why it cannot be looked into.
        as_of: when this was true, where the source cannot be reached now.
        best: None while it is not known, or where none runs.
        marked: targets of the variants that were marked.
        touched: the user has marked or unmarked: the best one is not marked unasked any more.
    """

    repository: Repository
    variants: tuple[Variant, ...] = ()
    listing: bool = True
    trouble: Trouble | None = None
    as_of: float | None = None
    best: Best | None = None
    marked: frozenset[str] = frozenset()
    touched: bool = False

    def variant(self, target: str | None) -> Variant | None:
        """The variant with this target, or None."""
        return next((one for one in self.variants if one.target == target), None)

    def with_variants(self, changed: Iterable[Variant]) -> Opened:
        """The same with these in place of those of their targets; new ones come last."""
        news = {one.target: one for one in changed}
        kept = tuple(news.pop(one.target, one) for one in self.variants)
        return self._replace(variants=(*kept, *news.values()))

    def with_best(self, best: Best | None) -> Opened:
        """The same, with the best variant marked unless the user has marked by hand."""
        if self.touched:
            return self._replace(best=best)
        return self._replace(best=best, marked=frozenset([best.target] if best else ()))

    def with_mark(self, target: str) -> Opened:
        """The same with this variant marked, or not any more."""
        return self._replace(marked=self.marked ^ {target}, touched=True)

    @property
    def reading(self) -> int:
        """How many variants are not read yet."""
        return sum(one.header is None and one.trouble is None for one in self.variants)

    @property
    def chosen(self) -> tuple[Variant, ...]:
        """The marked variants in the order shown."""
        return tuple(one for one in self.variants if one.target in self.marked)


class HubState(NamedTuple):
    """Everything the Hub place is drawn from.

    Attributes:
        asked: the search that is shown.
        found: its repositories so far.
        next_page: what asks for more; empty at the end.
        searching: an answer is on its way.
        as_of: when the answer was true, where the source cannot be reached now.
        trouble: why there is no answer, or no more of it.
        opened: the repository that is looked into; None for the list.
        wait: the longest that a server has asked for since the last question.
    """

    asked: Asked = Asked()
    found: tuple[Repository, ...] = ()
    next_page: str = ""
    searching: bool = False
    as_of: float | None = None
    trouble: Trouble | None = None
    opened: Opened | None = None
    wait: Wait = Wait()

    def repository(self, name: str | None) -> Repository | None:
        """The repository of a row, or None."""
        return next((one for one in self.found if one.name == name), None)

    def with_page(self, page: Page, *, first: bool) -> HubState:
        """The same with the first part of an answer, or with one more."""
        before = () if first else self.found
        known = {one.name for one in before}
        new = tuple(one for one in page.found if one.name not in known)
        return self._replace(
            found=(*before, *new),
            next_page=page.next_page,
            searching=False,
            as_of=page.as_of,
            trouble=None,
        )
