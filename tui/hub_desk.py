"""The Hub as the deck knows it: searches, looks into repositories, marks what is to be pulled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from modeldeck.engines.errors import ModeldeckError
from modeldeck.tui.hub_jobs import Failed, HubJobs
from modeldeck.tui.hub_source import Listing
from modeldeck.tui.hub_state import (
    Asked,
    Best,
    HubState,
    Opened,
    Page,
    Repository,
    Trouble,
    Variant,
    Wait,
)

if TYPE_CHECKING:
    from modeldeck.engines.fit.types import Card
    from modeldeck.tui.state import Options


def _trouble(error: ModeldeckError) -> Trouble:
    return Trouble(error.cause, error.next_step)


class HubDesk:
    """Holds the newest ``HubState`` and tells whoever shows it about each new one."""

    def __init__(self, jobs: HubJobs) -> None:
        self._jobs = jobs
        self.state = HubState()
        self._tell: Callable[[HubState], None] | None = None
        self._judged_for: tuple[Options, Card] | None = None
        jobs.listen(self._waits)

    def now(self) -> float:
        """Seconds since 1970, which ages are counted from."""
        return self._jobs.now()

    def listen(self, tell: Callable[[HubState], None]) -> None:
        """Have ``tell`` called with every new state."""
        self._tell = tell

    def _change(self, state: HubState) -> None:
        self.state = state
        if self._tell is not None:
            self._tell(state)

    def _waits(self, seconds: float) -> None:
        until = self.now() + seconds
        if until > self.state.wait.until:
            self._change(self.state._replace(wait=Wait(seconds, until)))

    # The list.

    def search(self, asked: Asked) -> None:
        """Search anew; what was found before stays until the answer is there."""
        self.close()
        if self.state.asked.source is not asked.source:
            self.state = HubState(asked)
        self._change(self.state._replace(asked=asked, searching=True, trouble=None, wait=Wait()))
        self._jobs.search(
            asked, "", lambda page: self._found(asked, page, first=True), self._not_found
        )

    def more(self) -> None:
        """Ask for the next part of the answer, unless it is on its way or there is none."""
        state = self.state
        if state.searching or not state.next_page or state.trouble is not None:
            return
        self._change(state._replace(searching=True, wait=Wait()))
        self._jobs.search(
            state.asked,
            state.next_page,
            lambda page: self._found(state.asked, page, first=False),
            self._not_found,
        )

    def _found(self, asked: Asked, page: Page, *, first: bool) -> None:
        if self.state.asked == asked:
            self._change(self.state.with_page(page, first=first))

    def _not_found(self, error: ModeldeckError) -> None:
        self._change(self.state._replace(searching=False, trouble=_trouble(error)))

    # One repository.

    def open(self, repository: Repository) -> None:
        """Look into a repository: its variants, then their headers."""
        self._change(self.state._replace(opened=Opened(repository), wait=Wait()))
        self._jobs.listing(self.state.asked.source, repository.name, self._listed, self._not_listed)

    def close(self) -> None:
        """Back to the list; what is being read is given up."""
        if self.state.opened is not None:
            self._jobs.leave()
            self._change(self.state._replace(opened=None))

    def _listed(self, listing: Listing) -> None:
        opened = self.state.opened
        if opened is None:
            return
        listed = opened._replace(variants=listing.variants, listing=False, as_of=listing.as_of)
        self._change(self.state._replace(opened=listed))
        self._jobs.read(listing.variants, self._read)

    def _not_listed(self, error: ModeldeckError) -> None:
        opened = self.state.opened
        if opened is not None:
            failed = opened._replace(listing=False, trouble=_trouble(error))
            self._change(self.state._replace(opened=failed))

    def _read(self, variants: tuple[Variant, ...]) -> None:
        opened = self.state.opened
        if opened is not None:
            self._change(self.state._replace(opened=opened.with_variants(variants)))
            self._judge()

    def judge_for(self, options: Options, card: Card | None) -> None:
        """Judge for these options and this card from now on."""
        if card is not None and self._judged_for != (options, card):
            self._judged_for = options, card
            self._judge()

    def _judge(self) -> None:
        opened = self.state.opened
        if opened is not None and opened.variants and self._judged_for is not None:
            self._jobs.judge(opened.variants, *self._judged_for, self._judged)

    def _judged(self, variants: tuple[Variant, ...], best: Best | None) -> None:
        opened = self.state.opened
        if opened is None:
            return
        verdicts = {one.target: one.verdict for one in variants}
        judged = tuple(
            one._replace(verdict=verdicts.get(one.target, one.verdict)) for one in opened.variants
        )
        whole = opened._replace(variants=judged).with_best(best)
        self._change(self.state._replace(opened=whole))

    def read_card(self, name: str, show: Callable[[str], None], failed: Failed) -> None:
        """Fetch the model card of a repository and hand it to ``show``."""
        self._jobs.card_text(self.state.asked.source, name, show, failed)

    def mark(self, target: str) -> None:
        """Mark a variant, or take its mark away."""
        opened = self.state.opened
        if opened is not None and opened.variant(target) is not None:
            self._change(self.state._replace(opened=opened.with_mark(target)))
