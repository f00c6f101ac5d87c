"""The sentences of the Hub place: what was asked, what came of it, what is wrong. Pure."""

from __future__ import annotations

import math

from textual.content import Content

from modeldeck.engines.text import clean_line
from modeldeck.engines.units import age_text, tokens_text
from modeldeck.tui.hub_state import HubState, Opened, Source, Trouble, Variant
from modeldeck.tui.state import Options
from modeldeck.tui.widgets.model_rows import size_text


def asked_line(state: HubState, options: Options) -> Content:
    """Where is looked and in which order; for an open repository, what it is judged for."""
    opened = state.opened
    if opened is not None:
        parts = [
            Content.styled(clean_line(opened.repository.name), "bold $foreground"),
            Content(f"ctx {tokens_text(options.context_tokens)}   kv {options.kv_type}"),
        ]
        return Content("   ").join(parts)
    asked = state.asked
    parts = [Content.styled(asked.source.titled, "bold $foreground")]
    if asked.source is Source.HUB:
        parts += [Content(f"format {asked.kind or 'any'}"), Content(f"sort {asked.sort}")]
    return Content("   ").join(parts)


def said_line(state: HubState, now: float) -> Content:
    """What came of the search, or of looking into a repository."""
    opened = state.opened
    if opened is not None:
        return _opened_line(state, opened, now)
    if state.trouble is not None:
        return trouble_line(state.trouble)
    if state.searching:
        searching = "Searching …" if not state.found else "Searching for more …"
        return _patient(_muted(searching), state, now)
    if not state.found:
        return Content.assemble(
            ("Nothing is called that.", "$foreground"), (" Search for other words.", "$text-muted")
        )
    count = f"{len(state.found)} repositor{'y' if len(state.found) == 1 else 'ies'}"
    more = ", more below" if state.next_page else ""
    return _aged(_muted(count + more), state.as_of, now)


def _patient(said: Content, state: HubState, now: float) -> Content:
    """The same, saying what keeps it waiting where a server has asked for that."""
    if state.wait.until <= now:
        return said
    seconds = math.ceil(state.wait.seconds)
    asks = f"{state.asked.source.titled} asks to wait {seconds} s; it goes on by itself"
    return Content("   ").join([Content.styled(asks, "$text-warning"), said])


def _opened_line(state: HubState, opened: Opened, now: float) -> Content:
    if opened.trouble is not None:
        return trouble_line(opened.trouble)
    if opened.listing:
        return _patient(_muted("Listing its variants …"), state, now)
    if not opened.variants:
        return Content("It has no weights that can be judged.")
    said = Content("")
    if opened.reading:
        read = len(opened.variants) - opened.reading
        said = _patient(_muted(f"read {read} of {len(opened.variants)} headers"), state, now)
    elif opened.best is not None:
        variant = opened.variant(opened.best.target)
        label = clean_line(variant.label) if variant is not None else ""
        said = Content.assemble(("best here ", "$primary"), f"{label}: {opened.best.reason}")
    elif all(one.verdict is not None or one.trouble is not None for one in opened.variants):
        said = _muted("None of them runs here.")
    return _aged(_with_marks(said, opened.chosen), opened.as_of, now)


def _with_marks(said: Content, chosen: tuple[Variant, ...]) -> Content:
    if not chosen:
        return said
    known = [one.size_bytes + one.projector_bytes for one in chosen if one.size_bytes is not None]
    size = f", {size_text(sum(known))}B" if len(known) == len(chosen) else ""
    marks = _muted(f"{len(chosen)} marked{size}")
    return Content("   ").join([said, marks]) if said.plain else marks


def _aged(said: Content, as_of: float | None, now: float) -> Content:
    """The same, saying how old it is where the source cannot be reached."""
    if as_of is None:
        return said
    age = age_text(max(0.0, now - as_of))
    warning = Content.styled(f"offline: this is what it said {age} ago", "$text-warning")
    return Content("   ").join([warning, said]) if said.plain else warning


def trouble_line(trouble: Trouble) -> Content:
    """A cause and its next step."""
    cause, step = clean_line(trouble.cause), clean_line(trouble.next_step)
    return Content.assemble((f"✕ {cause}", "bold $error"), f" {step}" if step else "")


def _muted(text: str) -> Content:
    return Content.styled(text, "$text-muted")
