"""``modeldeck search``: repositories of the Hub or of Ollama's library, and the variants of one."""

from __future__ import annotations

import argparse
import math
import re
import time
from collections.abc import Sequence

from modeldeck.engines.fit.types import Card
from modeldeck.engines.formats.attention import Attention
from modeldeck.engines.hardware.types import HardwareSnapshot
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import age_text, file_size, tokens_text
from modeldeck.tui.hub_source import HubSource
from modeldeck.tui.hub_state import Asked, Best, Repository, Source, Variant
from modeldeck.tui.printing import complain, emit, note, output_columns, say, table
from modeldeck.tui.services import Services
from modeldeck.tui.state import Options

_EXACT = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)


def run_search(services: Services, options: argparse.Namespace) -> int:
    """Run the command. Returns the exit code: 1 where nothing is found. Raises ModeldeckError."""
    hub = services.elsewhere.hub
    source = Source.OLLAMA if options.ollama else Source.HUB
    text = " ".join(options.text)
    exact = _EXACT.fullmatch(text.removeprefix("hf:"))
    if exact and source is Source.HUB:
        return _variants(services, hub, source, exact[0], options)
    if source is Source.OLLAMA and len(options.text) == 1:
        page = hub.search(Asked(source, text), "", _patient(source))
        if any(one.name == text for one in page.found):
            return _variants(services, hub, source, text, options)
    return _repositories(hub, source, text, options)


def _repositories(hub: HubSource, source: Source, text: str, options: argparse.Namespace) -> int:
    cuts = {"author": options.author, "task": options.task, "params": options.params}
    words = [text, *(f"{name}:{value}" for name, value in cuts.items() if value)]
    asked = Asked(source, " ".join(filter(None, words)), options.format, options.sort)
    found, page, as_of = list[Repository](), "", None
    while len(found) < options.limit:
        answer = hub.search(asked, page, _patient(source))
        found += answer.found
        page, as_of = answer.next_page, answer.as_of
        if not page:
            break
    found = found[: options.limit]
    if options.json:
        return emit([_repository_record(one, as_of) for one in found])
    if not found:
        complain(f"{source.titled} has nothing for “{clean_line(asked.text, 80)}”.")
        note("next: use fewer words")
        return 1
    rows: list[tuple[str, ...]] = [("NAME", "PARAMS", "FORMATS", "DOWNLOADS", "LIKES", "NOTE")]
    rows += [_row(one) for one in found]
    say(table(rows, right=(1, 3, 4), columns=output_columns()))
    _say_age(as_of)
    note(f"next: modeldeck search {'--ollama ' if options.ollama else ''}{found[0].name}")
    return 0


def _variants(
    services: Services, hub: HubSource, source: Source, name: str, options: argparse.Namespace
) -> int:
    snapshot, _ = services.sample(None)
    card = services.cards.card(snapshot)
    wanted = Options(options.ctx or services.settings.context_tokens, services.settings.kv_type)
    listing = hub.listing(source, name, _patient(source))
    read = {one.target: one for one in listing.variants}
    hub.read(listing.variants, lambda one: read.__setitem__(one.target, one), _patient(source))
    judged = hub.judge(tuple(read.values()), wanted, card)
    best = hub.best(judged, wanted, card)
    if options.json:
        return emit([_variant_record(one, best, listing.as_of) for one in judged])
    _show_variants(judged, best, wanted, card, snapshot)
    _say_age(listing.as_of)
    return 0


def _show_variants(
    judged: Sequence[Variant],
    best: Best | None,
    wanted: Options,
    card: Card,
    snapshot: HardwareSnapshot,
) -> None:
    rows = [("", "VARIANT", "SIZE", "MAX CTX", "TOK/S", "VERDICT")]
    for one in judged:
        verdict = one.verdict
        longest = verdict.max_context_tokens if verdict else None
        rate = verdict.decode_tps if verdict else None
        rows.append(
            (
                "*" if best is not None and one.target == best.target else "",
                one.label,
                file_size(one.size_bytes) if one.size_bytes else "",
                tokens_text(longest) if longest else "",
                f"~{rate[1]:.0f}" if rate is not None else "",
                one.trouble.cause if one.trouble else (verdict.reason if verdict else ""),
            )
        )
    say(table(rows, right=(2, 3, 4), columns=output_columns()))
    if card.what_if:
        why = f" ({snapshot.why_none})" if snapshot.why_none else ""
        note(f"judged for: {card.name}{why}")
    note(f"with {tokens_text(wanted.context_tokens)} context")
    if best is not None:
        note(f"* {best.reason}")
        note(f"next: modeldeck pull {best.target}")


def _row(one: Repository) -> tuple[str, ...]:
    gated = "gated" if one.gated else ""
    return (
        one.name,
        _short(one.parameters),
        " ".join(one.formats),
        _short(one.downloads),
        _short(one.likes),
        clean_line(gated or one.note or one.task, 80),
    )


def _short(count: int | None) -> str:
    """``8.2B``, ``1.3M``, ``950``; empty where nobody says."""
    if count is None:
        return ""
    for unit, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= unit:
            return f"{count / unit:.{1 if count < 10 * unit else 0}f}{letter}"
    return str(count)


def _say_age(as_of: float | None) -> None:
    if as_of is not None:
        note(f"It cannot be reached now: this is from {age_text(time.time() - as_of)} ago.")


def _repository_record(one: Repository, as_of: float | None) -> dict[str, object]:
    return {**one._asdict(), "formats": list(one.formats), "as_of": as_of}


def _variant_record(one: Variant, best: Best | None, as_of: float | None) -> dict[str, object]:
    verdict = one.verdict
    rate = verdict.decode_tps if verdict else None
    return {
        "target": one.target,
        "label": one.label,
        "size_bytes": one.size_bytes,
        "projector_bytes": one.projector_bytes,
        "format": one.format.value if one.format else None,
        "architecture": one.header.architecture if one.header else None,
        "quantisation": one.header.quantisation if one.header else None,
        "verdict": verdict.kind.value if verdict else None,
        "reason": verdict.reason if verdict else "",
        "max_ctx": verdict.max_context_tokens if verdict else None,
        "decode_tps": dict(zip(("low", "mid", "high"), rate, strict=True)) if rate else None,
        "best": best is not None and one.target == best.target,
        "why_best": best.reason if best is not None and one.target == best.target else "",
        "problem": one.trouble.cause if one.trouble else "",
        "as_of": as_of,
    }


def _patient(source: Source) -> Attention:
    """Waits as long as it takes, and says so."""

    def say_so(seconds: float) -> None:
        note(f"{source.titled} asks to wait {math.ceil(seconds)} s; it goes on by itself.")

    return Attention(say_so)
