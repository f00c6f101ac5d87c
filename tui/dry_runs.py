"""Asks llama.cpp itself about the model that the cursor rests on, each question once."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from modeldeck.engines.errors import LoadFailed, ModeldeckError
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LocalModel, ModelFormat, Plan

if TYPE_CHECKING:
    from modeldeck.engines.fit.dry_run import DeviceSizes
    from modeldeck.engines.fit.dry_runner import DryRunner
    from modeldeck.engines.fit.types import Card, Verdict
    from modeldeck.engines.types import ModelHeader
    from modeldeck.tui.state import Options

_FORMATS: Final = frozenset({ModelFormat.GGUF, ModelFormat.LLAMAFILE})
_MOST_KEPT: Final = 1000
_MOST_CHARACTERS: Final = 120


class DryRuns:
    """Dry runs for one deck; the child that makes them starts with the first, in a worker thread.

    Answers are kept for the state of the files and the plan: coming back to a row asks nobody.
    """

    def __init__(self) -> None:
        self._runner: DryRunner | None = None
        self._lock = Lock()
        self._kept: dict[tuple[str, str, Plan, bool], tuple[DeviceSizes, ...] | str] = {}

    def sized(
        self, model: LocalModel, verdict: Verdict, options: Options, card: Card
    ) -> Verdict | None:
        """``verdict`` as llama.cpp's own sizes make it; None where it has nothing to say to it.

        Takes some hundredths of a second, the first time some tenths.
        """
        if model.header is None or model.format not in _FORMATS:
            return None
        if verdict.source == "needs-dry-run":
            return self._judged(model, model.header, verdict, options, card)
        if verdict.source != "closed-form" or verdict.bill is None:
            return None
        from modeldeck.engines.fit.dry_run import checked
        from modeldeck.engines.fit.shaping import shape_of
        from modeldeck.engines.fit.verdict import judged_plan

        trained = model.header.context_length or options.context_tokens
        asked = Plan(context_tokens=min(options.context_tokens, trained), kv_type=options.kv_type)
        plan = judged_plan(shape_of(model.header), asked, verdict)
        sizes = self._sizes(model, plan, cuda=card.vendor == "nvidia" and not verdict.shares)
        if isinstance(sizes, str):
            found = verdict._replace(proof=sizes)
        else:
            found = checked(verdict, plan, sizes, card) if sizes else verdict
        return found if found != verdict else None

    def _judged(
        self,
        model: LocalModel,
        header: ModelHeader,
        verdict: Verdict,
        options: Options,
        card: Card,
    ) -> Verdict | None:
        """A verdict for a model that no formula describes; None where llama.cpp has none."""
        from modeldeck.engines.fit.engine_judge import judged_by_sizes
        from modeldeck.engines.fit.profiles import LLAMA_SERVER
        from modeldeck.engines.fit.terms import MARGIN_BYTES

        blocks = header.hparams.get(f"{header.architecture}.block_count")
        if not isinstance(blocks, int) or blocks < 1:
            return None
        trained = header.context_length or options.context_tokens
        plan = Plan(context_tokens=min(options.context_tokens, trained), kv_type=options.kv_type)

        def ask(plan: Plan) -> tuple[DeviceSizes, ...]:
            sizes = self._sizes(model, plan, cuda=card.vendor == "nvidia")
            if isinstance(sizes, str):
                raise LoadFailed(sizes, "Look for another file of this model.")
            return sizes

        try:
            found = judged_by_sizes(plan, blocks, trained, card, ask, LLAMA_SERVER, MARGIN_BYTES)
        except LoadFailed as refusal:
            return verdict._replace(proof=refusal.cause)
        return found.verdict if found is not None else None

    def _sizes(self, model: LocalModel, plan: Plan, *, cuda: bool) -> tuple[DeviceSizes, ...] | str:
        """The sizes, or why llama.cpp has none; nothing where it cannot be asked."""
        key = (model.id, model.stamp, plan, cuda)
        with self._lock:
            if key not in self._kept:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[key] = self._ask(model, plan, cuda=cuda)
            return self._kept[key]

    def _ask(self, model: LocalModel, plan: Plan, *, cuda: bool) -> tuple[DeviceSizes, ...] | str:
        from modeldeck.engines.catalog.reading import outlines_of
        from modeldeck.engines.fit.dry_runner import DryRunner, Refused

        if self._runner is None:
            self._runner = DryRunner()
        try:
            return self._runner.run(outlines_of(model.files), plan, cuda=cuda)
        except Refused as refusal:
            return f"but llama.cpp refuses it ({clean_line(refusal.why, _MOST_CHARACTERS)})"
        except (ModeldeckError, OSError):
            return ()

    def rest(self) -> None:
        """End the child; the next question starts another. Safe to call at any time."""
        if self._runner is not None:
            self._runner.close()
