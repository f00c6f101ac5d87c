"""The real answers to what the Hub place asks: from the Hub, from Ollama, from what was kept."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from modeldeck.engines.catalog.hub_search import search_hub, search_url
from modeldeck.engines.catalog.ollama_library import library, library_search
from modeldeck.engines.catalog.remote import RemoteModel, remote_models
from modeldeck.engines.catalog.remote_hub import (
    MAIN,
    endpoint_of,
    gated,
    login_of,
    offline_by,
    repository,
)
from modeldeck.engines.catalog.remote_memory import RemoteMemory
from modeldeck.engines.catalog.remote_variants import remote_variants
from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import ModeldeckError, ModelNotFound
from modeldeck.engines.formats.attention import Attention
from modeldeck.engines.formats.web import Patience, web_of
from modeldeck.engines.formats.web_errors import Refused
from modeldeck.engines.store.remote_answers import RemoteAnswers, kept_answers
from modeldeck.tui.hub_best import best_variant
from modeldeck.tui.hub_judging import Judging, VariantJudge
from modeldeck.tui.hub_source import Listing
from modeldeck.tui.hub_state import Asked, Best, Page, Repository, Source, Trouble, Variant

if TYPE_CHECKING:
    from modeldeck.engines.contract import Engine
    from modeldeck.engines.fit.types import Card
    from modeldeck.tui.learned_memory import LearnedMemory
    from modeldeck.tui.state import Options

MOST_AT_ONCE: Final = 6
"""Headers read at the same time."""
_PATIENCE: Final = Patience(tries=2, whole_seconds=60.0)
"""Somebody is waiting in front of the screen."""
_CARD: Final = "README.md"
_MOST_CARD_BYTES: Final = 1 << 20


class HubAnswers:
    """Searches, listings, headers and cards; verdicts on what was read."""

    def __init__(
        self,
        engines: Callable[[], Sequence[Engine]],
        memory: LearnedMemory,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Answer for this machine.

        Args:
            engines: those there are; asked for only where a variant is no GGUF file.
            memory: what loads taught.
            environ: ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HUB_OFFLINE`` count.
        """
        self._engines = engines
        self._learnt = memory
        self._environ = environ
        self._judge = VariantJudge()

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    # What is asked of servers.

    @contextmanager
    def _asking(self, attention: Attention) -> Generator[tuple[RemoteMemory, str]]:
        """The Hub, with what it said before; its address."""
        endpoint = endpoint_of(self._environ)
        with (
            kept_answers() as answers,
            web_of(login_of(endpoint, self._environ), _PATIENCE, attention=attention) as web,
        ):
            web.offline = offline_by(self._environ)
            yield RemoteMemory(web, answers), endpoint

    def search(self, asked: Asked, page: str, attention: Attention) -> Page:
        """The first part of an answer, or the one that ``page`` asks for."""
        if asked.source is Source.OLLAMA:
            return _library_page(asked.text)
        with self._asking(attention) as (memory, endpoint):
            answer = search_hub(
                memory, page or search_url(endpoint, asked.text, asked.kind, asked.sort)
            )
        found = tuple(
            Repository(
                one.name,
                one.formats,
                one.parameters,
                one.downloads,
                one.likes,
                one.updated,
                one.task,
                one.gated,
            )
            for one in answer.found
        )
        return Page(found, answer.next_url, memory.as_of)

    def listing(self, source: Source, name: str, attention: Attention) -> Listing:
        """The variants of a repository."""
        if source is Source.OLLAMA:
            return _library_listing(name)
        with self._asking(attention) as (memory, endpoint):
            try:
                found = remote_variants(memory, endpoint, name)
            except Refused as refused:
                if refused.status not in (401, 403):
                    raise
                raise gated(endpoint, name) from refused
        variants = tuple(Variant(one.target, one.label, one.size_bytes) for one in found)
        return Listing(variants, memory.as_of)

    def read(
        self,
        variants: Sequence[Variant],
        on_read: Callable[[Variant], None],
        attention: Attention,
    ) -> None:
        """Read headers, some at a time; all are hung up on when nobody waits for them any more."""
        waiting = deque(variants)
        with kept_answers() as answers:

            def read_on() -> None:
                while not attention.over:
                    try:
                        variant = waiting.popleft()
                    except IndexError:
                        return
                    on_read(self._read(variant, answers, attention))

            names = range(min(MOST_AT_ONCE, len(waiting)))
            readers = [threading.Thread(target=read_on, daemon=True) for _ in names]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()

    def _read(
        self, variant: Variant, answers: RemoteAnswers | None, attention: Attention
    ) -> Variant:
        try:
            target = parse_target(variant.target)
            (found,) = remote_models(
                target, self._environ, answers, patience=_PATIENCE, attention=attention
            )
        except ModeldeckError as error:
            return variant._replace(trouble=Trouble(error.cause, error.next_step))
        if not isinstance(found, RemoteModel):
            return variant._replace(trouble=Trouble(found.error.cause, found.error.next_step))
        return variant._replace(
            size_bytes=found.size_bytes,
            format=found.header.format,
            header=found.header,
            projector_bytes=found.projector_bytes,
        )

    def card_text(self, source: Source, name: str, attention: Attention) -> str:
        """The model card in Markdown."""
        if source is Source.OLLAMA:
            raise ModelNotFound(
                "Ollama's registry keeps no model cards.", f"Read https://ollama.com/library/{name}"
            )
        with self._asking(attention) as (memory, endpoint):
            there = repository(memory, endpoint, name, MAIN)
            if _CARD not in there.files:
                raise ModelNotFound(
                    "The repository has no model card.", f"Look at {endpoint}/{name}."
                )
            try:
                card = memory.document(there.url(_CARD), "text/plain", _MOST_CARD_BYTES)
            except Refused as refused:
                if refused.status not in (401, 403):
                    raise
                raise gated(endpoint, name) from refused
        return card.decode("utf-8", "replace")

    # Verdicts.

    def judge(
        self, variants: Sequence[Variant], options: Options, card: Card
    ) -> tuple[Variant, ...]:
        """The same with verdicts, where they have headers."""
        judging = Judging(
            options,
            card,
            lambda: [engine.info for engine in self._engines()],
            self._learnt.lesson(),
        )
        return self._judge.judged(variants, judging)

    def best(self, variants: Sequence[Variant], options: Options, card: Card) -> Best | None:
        """The judged variant to take on ``card``, and why."""
        return best_variant(variants, options, card)


def _library_page(text: str) -> Page:
    made = library().as_of
    return Page(
        tuple(
            Repository(one.name, ("gguf",), updated=made, note=f"Sizes: {', '.join(one.tags)}.")
            for one in library_search(text)
        )
    )


def _library_listing(name: str) -> Listing:
    exact = next((one for one in library_search(name) if one.name == name), None)
    tags = exact.tags if exact is not None else ("latest",)
    return Listing(tuple(Variant(f"ollama:{name}:{tag}", tag) for tag in tags))
