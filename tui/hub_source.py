"""What the Hub place asks of the world: searches, listings, headers, model cards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from modeldeck.engines.formats.attention import Attention
from modeldeck.tui.hub_state import Asked, Best, Page, Source, Variant

if TYPE_CHECKING:
    from modeldeck.engines.fit.types import Card
    from modeldeck.tui.state import Options


class Listing(NamedTuple):
    """The variants of a repository, before any of them is read.

    Attributes:
        variants: in the order to show.
        as_of: when this was true, in seconds since 1970, where the source cannot be reached now.
    """

    variants: tuple[Variant, ...]
    as_of: float | None = None


class HubSource(Protocol):
    """Every call blocks, so it belongs in a thread; all raise ModeldeckError."""

    def now(self) -> float:
        """Seconds since 1970; this one does not block."""
        ...

    def search(self, asked: Asked, page: str, attention: Attention) -> Page:
        """The first part of an answer, or the one that ``page`` asks for."""
        ...

    def listing(self, source: Source, name: str, attention: Attention) -> Listing:
        """The variants of a repository."""
        ...

    def read(
        self,
        variants: Sequence[Variant],
        on_read: Callable[[Variant], None],
        attention: Attention,
    ) -> None:
        """Read the headers of ``variants``, some at a time; each is told as soon as it is read.

        One that cannot be read is told with its trouble.
        """
        ...

    def judge(
        self, variants: Sequence[Variant], options: Options, card: Card
    ) -> tuple[Variant, ...]:
        """The same with verdicts, where they have headers."""
        ...

    def best(self, variants: Sequence[Variant], options: Options, card: Card) -> Best | None:
        """The judged variant that is best for ``card``, and why; None where none runs."""
        ...

    def card_text(self, source: Source, name: str, attention: Attention) -> str:
        """The model card in Markdown."""
        ...
