"""``modeldeck fit``: does it fit, with what settings, how fast, and what would make it fit."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

from modeldeck.engines.catalog.projectors import projector_size
from modeldeck.engines.catalog.targets import (
    Target,
    TargetKind,
    local_model,
    parse_target,
    variants,
)
from modeldeck.engines.choice import choose
from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.fit.advice import advise, must_go
from modeldeck.engines.fit.companions import ALONE
from modeldeck.engines.fit.grid import grid
from modeldeck.engines.fit.options import FitOptions, usual_engine
from modeldeck.engines.fit.rebilled import answered
from modeldeck.engines.fit.search import Answer, answer
from modeldeck.engines.fit.speed import Speeds, speeds
from modeldeck.engines.fit.types import RUNS, VerdictKind
from modeldeck.engines.types import LocalModel, ModelHeader
from modeldeck.tui.fit_arguments import fit_options
from modeldeck.tui.fit_card import JudgedCard, judged_card
from modeldeck.tui.fit_record import Judged, exit_code, fit_record
from modeldeck.tui.fit_text import fit_text, guide_text
from modeldeck.tui.printing import complain, emit, note, say
from modeldeck.tui.services import Services

_UNREADABLE = "The file cannot be read."
_USAGE = 2


def run_fit(services: Services, options: argparse.Namespace) -> int:
    """Judge every target in order. Returns the exit code. Raises ModeldeckError."""
    if options.guide:
        return _guide(services, options)
    if not options.target:
        complain("There is nothing to judge.")
        note("next: name a target, like modeldeck fit hf:owner/name:Q4_K_M, or see modeldeck ls")
        return _USAGE
    snapshot, _ = services.sample(None)
    judging = judged_card(services, snapshot, options)
    if judging.remark:
        note(judging.remark)
    given, beside = fit_options(options), ALONE
    if options.draft is not None or options.lora:
        from modeldeck.tui.fit_beside import with_beside

        given, beside = with_beside(services, given, options)
    judging = replace(judging, beside=beside)
    judged = [
        one for text in options.target for one in _judged(services, options, text, given, judging)
    ]
    if options.dry_run or any(_is_rough(one) for one in judged):
        from modeldeck.tui.fit_dry_run import with_dry_runs

        judged = with_dry_runs(judged, judging.card, None if options.dry_run else _is_rough)
    if options.json:
        emit([fit_record(one, judging.card, judging.others) for one in judged])
    else:
        texts = [_text(one, given, judging) for one in judged if one.answer is not None]
        if texts:
            say("\n\n".join(texts))
        for one in judged:
            if one.answer is None:
                complain(f"{one.target}: {one.problem}")
    return exit_code(judged)


def _is_rough(one: Judged) -> bool:
    """Whether the formula may miss its compute buffer, which llama.cpp can tell."""
    from modeldeck.engines.fit.profiles import PROFILES
    from modeldeck.engines.fit.rough import is_rough

    found, header = one.answer, one.header
    if found is None or header is None or found.verdict.bill is None:
        return False
    by_formula = found.verdict.source == "closed-form" and found.engine in PROFILES
    return by_formula and is_rough(header.architecture, found.plan)


def _guide(services: Services, options: argparse.Namespace) -> int:
    """The claims about 12 GB cards, each with the truth."""
    from dataclasses import asdict

    from modeldeck.engines.fit.guide import guide

    snapshot, _ = services.sample(None)
    truths = guide(options.ram or snapshot.host.memory_available_bytes or 0)
    if options.json:
        return emit([asdict(truth) for truth in truths])
    say("\n\n".join(guide_text(truth) for truth in truths))
    return 0


def _judged(
    services: Services,
    options: argparse.Namespace,
    text: str,
    given: FitOptions,
    judging: JudgedCard,
) -> Iterator[Judged]:
    """One target, or all its variants; what cannot be judged says why."""
    try:
        target = parse_target(text)
        here = _models(services, target, options.all_quants)
        for model in here:
            name = model.name if options.all_quants else text
            yield _local(services, model, name, given, judging)
        if not here:
            from modeldeck.engines.catalog.remote import RemoteProblem
            from modeldeck.tui.fit_remote import models_elsewhere  # httpx: 60 ms

            for there in models_elsewhere(target, all_variants=options.all_quants):
                if isinstance(there, RemoteProblem):
                    yield Judged(there.name, problem=str(there.error))
                    continue
                judged = _header(
                    services,
                    there.header,
                    there.name if options.all_quants else text,
                    there.name,
                    given,
                    judging,
                    projector_file_bytes=there.projector_bytes,
                )
                yield replace(judged, outlines=there.outlines)
    except ModeldeckError as error:
        yield Judged(text, problem=f"{error.cause} {error.next_step}")


def _models(services: Services, target: Target, all_quants: bool) -> tuple[LocalModel, ...]:
    """The models of this machine that are meant; none when it must be looked for elsewhere."""
    if target.kind in (TargetKind.HUB, TargetKind.URL):
        return ()
    listed = services.scan_all().models
    model = local_model(target, listed, services.headers)
    if model is None:
        return ()
    return variants(model, listed, services.headers) if all_quants else (model,)


def _local(
    services: Services, model: LocalModel, name: str, given: FitOptions, judging: JudgedCard
) -> Judged:
    header = model.header
    if header is None:
        return Judged(name, problem=f"{model.problem or _UNREADABLE} Download it again.")
    if given.engine is None and not services.reads(model):
        note(f"{name}: {choose(model, ()).reason} Judged all the same.")
    return _header(
        services,
        header,
        name,
        str(model.path),
        given,
        judging,
        local=model,
        projector_file_bytes=projector_size(model),
    )


def _header(
    services: Services,
    header: ModelHeader,
    name: str,
    path: str,
    given: FitOptions,
    judging: JudgedCard,
    *,
    local: LocalModel | None = None,
    projector_file_bytes: int = 0,
) -> Judged:
    companions = judging.beside._replace(projector_file_bytes=projector_file_bytes)
    model_format = local.format if local is not None else header.format
    engine = given.engine or usual_engine(model_format)
    memory = services.learned_memory.lesson()
    if memory is not None:
        learnt = memory.card_for(judging.card, header.architecture, engine)
        judging = replace(judging, card=learnt)
    found = answer(
        header,
        given,
        judging.card,
        usual_context_tokens=services.settings.context_tokens,
        model_format=model_format,
        companions=companions,
    )
    if memory is not None and local is not None:
        known = memory.measured(found.verdict, found.plan, local, judging.card, engine)
        found = answered(found, known, judging.card) if known is not found.verdict else found
    advice = [
        one.text
        for one in advise(
            header,
            found,
            judging.card,
            model_format=model_format,
            companions=companions,
        )
    ]
    bill = found.verdict.bill
    if bill is not None and not found.fits_now:
        advice += [one.text for one in must_go(bill, judging.card, judging.others)]
    rates = _rates(services, found, judging)
    return Judged(
        target=name,
        header=header,
        companions=companions,
        card=judging.card,
        answer=found,
        decode=rates.decode,
        decode_at_context=rates.decode_at_context,
        prefill=rates.prefill,
        advice=tuple(advice),
        model=path,
        problem=found.verdict.reason if found.max_context_tokens is None else "",
    )


def _rates(services: Services, found: Answer, judging: JudgedCard) -> Speeds:
    """What the plan would run at; nothing for one that does not run."""
    runs = found.verdict.kind in RUNS
    if found.shape is None or not runs:
        return Speeds(None, None, None)
    blocks = None if found.plan.gpu_layers == 0 else found.plan.gpu_layers - 1
    card = judging.card
    if found.verdict.kind is not VerdictKind.FITS and judging.host is not None:
        card = services.cards.with_host(card, judging.host)
    return speeds(found.shape, found.plan, card, blocks, engine=found.engine)


def _text(judged: Judged, given: FitOptions, judging: JudgedCard) -> str:
    row = None
    if judged.header is not None and judged.answer is not None and judged.answer.shape is not None:
        card = judged.card or judging.card
        row = grid([judged.header], given, card, companions=judged.companions)[0]
    return fit_text(judged, judging.card, judging.others, row)
