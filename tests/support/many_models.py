"""A deck on a machine with ten thousand models, of which every kind has its verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from modeldeck.engines.fit.types import Card, Verdict
from modeldeck.engines.types import KvType, LocalModel
from modeldeck.tui.learned_memory import MemoryLesson
from modeldeck.tui.services import ScanStep
from tests.support.decks import QuietServices
from tests.support.model_bench import bench_entries

MODELS = 10_000


@cache
def _models() -> tuple[LocalModel, ...]:
    """The models of the bench under numbered names, so that all kinds of verdict are neighbours."""
    return tuple(
        entry.model._replace(name=f"{number:05}-{entry.model.name}")
        for number, entry in enumerate(bench_entries(MODELS))
    )


class ManyModels(QuietServices):
    """Finds the models of the bench, and knows their verdicts."""

    def scan(self, should_stop: Callable[[], bool]) -> Iterator[ScanStep]:
        """All of them at once."""
        yield ScanStep(_models(), (), finished=True)

    def judge(
        self,
        models: Sequence[LocalModel],
        context_tokens: int,
        kv_type: KvType,
        card: Card,
        *,
        brief: bool = False,
        memory: MemoryLesson | None = None,
    ) -> dict[str, Verdict]:
        """The verdicts that the bench gives."""
        known = {entry.model.id: entry.verdict for entry in bench_entries(MODELS)}
        found = {model.id: known.get(model.id) for model in models if model.header is not None}
        return {key: verdict for key, verdict in found.items() if verdict is not None}
