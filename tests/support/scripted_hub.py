"""A Hub that follows a script: what is found, listed and read is what the test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Event

from modeldeck.engines.contract import Engine
from modeldeck.engines.errors import ModeldeckError, ModelNotFound
from modeldeck.engines.fit.quants import QUANTS, requantised
from modeldeck.engines.formats.attention import Attention
from modeldeck.engines.formats.gguf import read_gguf
from modeldeck.engines.formats.header import header_of
from modeldeck.engines.formats.source import open_regular
from modeldeck.engines.types import ModelFormat
from modeldeck.tui.elsewhere import Elsewhere
from modeldeck.tui.hub_answers import HubAnswers
from modeldeck.tui.hub_source import HubSource, Listing
from modeldeck.tui.hub_state import Asked, Page, Repository, Source, Variant
from modeldeck.tui.learned_memory import LearnedMemory
from modeldeck.tui.pulls_source import PullsSource
from modeldeck.tui.services import Services
from tests.support.decks import QuietServices, dense

NOW = 1_790_000_000.0
DAY = 86_400.0


def owned(name: str, parameters: int, downloads: int, days: float, *formats: str) -> Repository:
    """A repository, of GGUF files unless it says otherwise."""
    likes, updated = downloads // 40, NOW - days * DAY
    kept = formats or ("gguf",)
    return Repository(name, kept, parameters, downloads, likes, updated, "text-generation")


FOUND = (
    owned("unsloth/Qwen3-14B-GGUF", 14_800_000_000, 812_340, 12),
    owned("bartowski/Mistral-Small-24B-Instruct-2501-GGUF", 23_600_000_000, 96_400, 300),
    owned("google/gemma-3-27b-it-qat-q4_0-gguf", 27_000_000_000, 54_000, 190)._replace(gated=True),
    owned("Qwen/Qwen3-32B-AWQ", 32_800_000_000, 402_110, 160, "awq", "safetensors"),
    owned("turboderp/Llama-3.3-70B-exl3", 70_600_000_000, 812, 3, "exl3"),
    owned("某人/中文模型-7B-GGUF", 7_600_000_000, 96, 900)._replace(note="[b]Brackets."),
)


@dataclass
class Script:
    """What is answered.

    Attributes:
        pages: of every search, in order.
        variants: by repository.
        read: what reading a variant makes of it, by target.
        cards: model cards by repository.
        as_of: the answers' age, for one that is offline.
        fails: raised by a search.
        refused: raised by a listing.
        asked: every search, as it was asked.
        stopped: how many readings were called off.
        holds: headers wait for this.
    """

    pages: Sequence[tuple[Repository, ...]] = (FOUND,)
    variants: Mapping[str, tuple[Variant, ...]] = field(
        default_factory=dict[str, tuple[Variant, ...]]
    )
    read: Mapping[str, Variant] = field(default_factory=dict[str, Variant])
    cards: Mapping[str, str] = field(default_factory=dict[str, str])
    as_of: float | None = None
    fails: ModeldeckError | None = None
    refused: ModeldeckError | None = None
    asked: list[tuple[Asked, str]] = field(default_factory=list[tuple[Asked, str]])
    stopped: int = 0
    holds: Event | None = None


class ScriptedHub(HubAnswers):
    """Answers from a script; what is judged is judged for real."""

    def __init__(
        self, engines: Callable[[], Sequence[Engine]], memory: LearnedMemory, script: Script
    ) -> None:
        super().__init__(engines, memory)
        self._script = script

    def now(self) -> float:
        """A day of the script."""
        return NOW

    def search(self, asked: Asked, page: str, attention: Attention) -> Page:
        """The next page of the script, cut down to the text."""
        script = self._script
        script.asked.append((asked, page))
        if script.fails is not None:
            raise script.fails
        number = int(page or 0)
        found = tuple(
            one for one in script.pages[number] if asked.text.casefold() in one.name.casefold()
        )
        more = str(number + 1) if number + 1 < len(script.pages) else ""
        return Page(found, more, script.as_of)

    def listing(self, source: Source, name: str, attention: Attention) -> Listing:
        """The variants of the script."""
        if self._script.refused is not None:
            raise self._script.refused
        return Listing(self._script.variants.get(name, ()), self._script.as_of)

    def read(
        self,
        variants: Sequence[Variant],
        on_read: Callable[[Variant], None],
        attention: Attention,
    ) -> None:
        """One after the other, as the script says."""
        for variant in variants:
            while self._script.holds is not None and not self._script.holds.wait(0.01):
                if attention.over:
                    self._script.stopped += 1
                    return
            on_read(self._script.read.get(variant.target, variant))

    def card_text(self, source: Source, name: str, attention: Attention) -> str:
        """The card of the script."""
        if name not in self._script.cards:
            raise ModelNotFound("The repository has no model card.", "Read its page.")
        return self._script.cards[name]


def services_with(script: Script, pulls: PullsSource | None = None) -> type[Services]:
    """Quiet services whose Hub follows ``script``, and ``pulls`` where there are any."""

    class ScriptedElsewhere(Elsewhere):
        @cached_property
        def hub(self) -> HubSource:
            return ScriptedHub(self._engines, self._memory(), script)

        @cached_property
        def pulls(self) -> PullsSource:
            return pulls if pulls is not None else super().pulls

        def pulls_under_way(self) -> bool:
            return pulls is not None

    class Scripted(QuietServices):
        @cached_property
        def elsewhere(self) -> Elsewhere:
            return ScriptedElsewhere(
                lambda: self.engines, lambda: self.learned_memory, self.settings
            )

    return Scripted


def variants_of(folder: Path, name: str, *, blocks: int, embedding: int) -> tuple[Variant, ...]:
    """The usual quantisations of a dense model, with the headers that they would have."""
    path = dense(folder, "source", blocks=blocks, embedding=embedding)
    with open_regular(path) as file:
        header = header_of([read_gguf(file)])
    path.unlink()
    return tuple(
        Variant(
            f"hf:{name}:{quant}",
            quant,
            scaled.weights.total_bytes,
            ModelFormat.GGUF,
            scaled,
        )
        for quant, bits in QUANTS
        for scaled in (requantised(header, quant, bits),)
    )


def unread(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """The same before their headers are read."""
    return tuple(one._replace(header=None) for one in variants)
