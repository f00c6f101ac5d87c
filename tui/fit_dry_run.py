"""``fit --dry-run``: answers held against what llama.cpp itself says of the same plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from modeldeck.engines.catalog.reading import outlines_of
from modeldeck.engines.catalog.split import parts_beside
from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.fit.drafting import draft_plan
from modeldeck.engines.fit.dry_run import checked, with_draft_sizes
from modeldeck.engines.fit.dry_runner import DryRunner
from modeldeck.engines.fit.engine_judge import judged_by_sizes
from modeldeck.engines.fit.profiles import PROFILES
from modeldeck.engines.fit.rebilled import answered
from modeldeck.engines.fit.search import Answer
from modeldeck.engines.fit.types import Card, Verdict
from modeldeck.engines.formats.gguf_outline import Outline
from modeldeck.engines.paths import is_file
from modeldeck.engines.text import clean_line
from modeldeck.tui.fit_record import Judged
from modeldeck.tui.printing import note


def with_dry_runs(
    judged: Sequence[Judged], card: Card, only: Callable[[Judged], bool] | None = None
) -> list[Judged]:
    """The answers with the engine's sizes where it could be asked; notes say where it could not.

    Args:
        judged: the answers.
        card: what they are for.
        only: which it is asked about; None for all.
    """
    runner = DryRunner()
    try:
        return list(_each(judged, card, runner, only))
    finally:
        runner.close()


def _each(
    judged: Sequence[Judged], card: Card, runner: DryRunner, only: Callable[[Judged], bool] | None
) -> Iterator[Judged]:
    for one in judged:
        if (
            (only is not None and not only(one))
            or one.answer is None
            or one.answer.verdict.source == "measured"
        ):
            yield one
        elif one.answer.engine not in PROFILES:
            note(f"{one.target}: no dry run: it is llama.cpp's, and sizes what that runs")
            yield one
        elif _keeps_copies(one.answer):
            note(f"{one.target}: no dry run: it sizes no copies of a state, which drafting keeps")
            yield one
        else:
            yield _asked(one, one.answer, card, runner)


def _asked(one: Judged, found: Answer, card: Card, runner: DryRunner) -> Judged:
    try:
        outlines = one.outlines or outlines_of(parts_beside(Path(one.model)))
        if found.verdict.source == "needs-dry-run":
            return _judged(one, found, card, outlines, runner)
        sizes = runner.run(
            outlines,
            found.plan,
            PROFILES[found.engine],
            cuda=card.vendor == "nvidia" and not found.verdict.shares,
        )
    except ModeldeckError as error:
        note(f"{one.target}: {error.cause} {error.next_step}")
        return one
    except OSError as error:
        note(f"{one.target}: no dry run: {clean_line(error.strerror or str(error))}")
        return one
    verdict = checked(found.verdict, found.plan, sizes, card)
    if found.plan.draft is not None:
        verdict = _drafted(one, found, verdict, card, runner)
    if verdict.source != "engine":
        says = verdict.proof or "llama.cpp has no sizes for it"
        if verdict.bill == found.verdict.bill:
            note(f"{one.target}: {says}; compute buffers are by formula: this build has no GPU")
            return one
        note(f"{one.target}: {says}")
    return replace(one, answer=answered(found, verdict, card), problem="")


def _keeps_copies(found: Answer) -> bool:
    bill = found.verdict.bill
    state = bill.recurrent_gpu_bytes + bill.recurrent_host_bytes if bill is not None else 0
    return found.plan.draft is not None and state > 0


def _drafted(
    one: Judged, found: Answer, verdict: Verdict, card: Card, runner: DryRunner
) -> Verdict:
    """``verdict`` with llama.cpp's sizes of the draft model; a note says where it has none."""
    path = Path(found.plan.draft.model) if found.plan.draft is not None else Path()
    try:
        if path.suffix.lower() != ".gguf" or not is_file(path):
            note(f"{one.target}: what drafts is sized by formula")
            return verdict
        outlines, plan = outlines_of(parts_beside(path)), draft_plan(found.plan)
        sizes = runner.run(outlines, plan, PROFILES[found.engine], cuda=card.vendor == "nvidia")
    except (ModeldeckError, OSError) as error:
        note(f"{one.target}: what drafts is sized by formula: {clean_line(str(error), 200)}")
        return verdict
    return with_draft_sizes(verdict, found.plan, sizes, card)


def _judged(
    one: Judged, found: Answer, card: Card, outlines: Sequence[Outline], runner: DryRunner
) -> Judged:
    """The answer for a model that no formula describes. Raises ModeldeckError."""
    header, profile = one.header, PROFILES[found.engine]
    blocks = header.hparams.get(f"{header.architecture}.block_count") if header else None
    if header is None or not isinstance(blocks, int):
        return one
    placed = judged_by_sizes(
        found.plan,
        blocks,
        header.context_length or 0,
        card,
        lambda plan: runner.run(outlines, plan, profile, cuda=card.vendor == "nvidia"),
        profile,
        found.options.margin_bytes,
    )
    if placed is None:
        note(f"{one.target}: this build of llama.cpp has no device like {card.name}")
        return one
    longest = placed.verdict.max_context_tokens
    planned = replace(found, plan=placed.plan, max_context_tokens=longest)
    answer = answered(planned, placed.verdict, card)
    return replace(one, answer=answer, problem="")
