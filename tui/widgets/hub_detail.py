"""The pane of the Hub place: the repository or the variant under the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.content import Content

from modeldeck.engines.text import clean_line
from modeldeck.engines.units import gib_number, gib_text, tokens_text
from modeldeck.tui.hub_state import Opened, Repository, Source, Variant
from modeldeck.tui.widgets.hub_rows import (
    count_text,
    parameters_text,
    since_text,
    variant_verdict,
)
from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.memory_bar import MUTED, bar, bill_lines
from modeldeck.tui.widgets.model_detail import closed_up
from modeldeck.tui.widgets.model_rows import size_text, speed_text

if TYPE_CHECKING:
    from modeldeck.engines.fit.types import Card
    from modeldeck.tui.state import Options


@dataclass(frozen=True, slots=True)
class Shown:
    """What the pane is about.

    Attributes:
        source: of what is shown.
        repository: under the cursor, or looked into; None for nothing.
        now: in seconds since 1970.
        opened: the repository that is looked into.
        variant: under the cursor; None in the list of repositories.
        card: that verdicts are for; None before it is known.
        options: that verdicts are for.
    """

    source: Source
    repository: Repository | None
    now: float
    opened: Opened | None = None
    variant: Variant | None = None
    card: Card | None = None
    options: Options | None = None


def _wrapped(text: Content, width: int) -> list[Content]:
    return list(text.wrap(max(1, width), overflow="fold"))


def repository_lines(found: Repository, source: Source, now: float, width: int) -> list[Content]:
    """What the hub says of a repository."""
    owner, _, name = found.name.rpartition("/")
    lines = _wrapped(Content.styled(clean_line(name), "bold"), width)
    lines.append(Content.styled(clean_line(owner) or source.titled, MUTED))
    lines.append(Content())
    facts = (
        ("format", clean_line(" ".join(found.formats))),
        ("parameters", parameters_text(found.parameters) if found.parameters else ""),
        ("task", clean_line(found.task)),
        ("pulled", count_text(found.downloads) if found.downloads is not None else ""),
        ("likes", count_text(found.likes) if found.likes is not None else ""),
        ("updated", f"{since_text(now - found.updated)} ago" if found.updated else ""),
    )
    lines += [
        Content.assemble((f"{label:<12}", MUTED), value)[:width] for label, value in facts if value
    ]
    if found.note:
        lines += [Content(), *_wrapped(Content(clean_line(found.note, 400)), width)]
    if found.gated:
        gated = "Gated: accept its terms on its page, then pull with your token."
        lines += [Content(), *_wrapped(Content.styled(gated, "$text-warning"), width)]
    return lines


def variant_lines(shown: Shown, variant: Variant, width: int) -> list[Content]:
    """One variant in full: what it is, its bill, its verdict."""
    header, verdict, card = variant.header, variant.verdict, shown.card
    lines = _wrapped(Content.styled(clean_line(variant.label), "bold"), width)
    if header is not None:
        facts = [header.architecture, parameters_text(header.parameters)]
        if header.weights.blocks:
            facts.append(f"{len(header.weights.blocks)} blocks")
        if header.context_length:
            facts.append(f"ctx {tokens_text(header.context_length)}")
        lines.append(Content.styled(clean_line("  ".join(facts)), MUTED))
    if verdict is not None and verdict.bill is not None and card is not None:
        lines += [Content(), bar(verdict.bill, card, width)]
        lines += bill_lines(verdict.bill, card, _cache_note(shown, variant), (), width)
    lines += [Content(), *_wrapped(_sentence(variant), width)]
    if verdict is not None and card is not None:
        where = f"what if: {card.name}" if card.what_if else f"on {card.name}"
        lines += _wrapped(Content.styled(f"from the header, {where}", MUTED), width)
    lines += [Content(), *_rates(variant)]
    return [line.truncate(width, ellipsis=True) for line in lines]


def _cache_note(shown: Shown, variant: Variant) -> str:
    options, header = shown.options, variant.header
    if options is None:
        return ""
    trained = header.context_length if header and header.context_length else None
    tokens = min(options.context_tokens, trained or options.context_tokens)
    return f"{tokens_text(tokens)} {options.kv_type}"


def _sentence(variant: Variant) -> Content:
    if variant.trouble is not None:
        cause, step = clean_line(variant.trouble.cause), clean_line(variant.trouble.next_step)
        return Content.assemble((f"? {cause}", "$verdict-unknown"), f" {step}")
    cell = variant_verdict(variant)
    style = MUTED if cell.style == "muted" else f"bold {cell.style}"
    if variant.verdict is None:
        return Content.styled(cell.text, style)
    return Content.styled(f"{cell.text[0]} {variant.verdict.reason}", style)


def _rates(variant: Variant) -> Iterator[Content]:
    verdict = variant.verdict
    if verdict is None:
        return
    if rate := speed_text(verdict):
        yield Content.assemble((rate, "bold $primary"), " tok/s  ", ("predicted", MUTED))
    if verdict.max_context_tokens:
        most = tokens_text(verdict.max_context_tokens)
        yield Content.assemble((most, "bold"), (" context at most", MUTED))


def short_lines(shown: Shown, width: int) -> list[Content]:
    """The two lines of a narrow screen."""
    variant, found = shown.variant, shown.repository
    if variant is not None:
        lines = [_bar_line(shown, variant, width), _sentence(variant)]
    elif found is not None:
        facts = repository_lines(found, shown.source, shown.now, 1000)
        lines = [facts[0], Content.styled(clean_line(found.task), MUTED)]
        if found.gated:
            lines[1] = Content.styled("gated: accept its terms on its page", "$text-warning")
    else:
        return []
    return [(Content(" ") + line).truncate(width, ellipsis=True) for line in lines]


def _bar_line(shown: Shown, variant: Variant, width: int) -> Content:
    bill, card = variant.verdict.bill if variant.verdict else None, shown.card
    if bill is None or card is None:
        size = f"  {size_text(variant.size_bytes)}B" if variant.size_bytes is not None else ""
        return Content.assemble((clean_line(variant.label), "bold"), size)
    total = f"  {gib_number(bill.total_gpu_bytes)} of {gib_text(card.usable_bytes)}"
    if bill.total_host_bytes:
        total += f" + {gib_number(bill.total_host_bytes)} RAM"
    return bar(bill, card, max(10, width - 2 - len(total))) + Content(total)


class HubDetail(LinesView):
    """The pane: in full, or in two lines with the class ``-short``.

    After changing the class call ``lines_changed``.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {MUTED.removeprefix(".")}
    DEFAULT_CSS = """
    HubDetail {
        padding: 0 1;
        & > .detail--muted { color: $text-muted; }
        &:ansi > .detail--muted { text-style: dim; }
    }
    HubDetail.-short { height: 2; padding: 0; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._about: Shown | None = None

    def show(self, shown: Shown) -> None:
        """Show what is under the cursor now."""
        if shown != self._about:
            self._about = shown
            self.lines_changed()

    def lay_out(self, width: int) -> Sequence[Content]:
        """The lines of the full or the short form."""
        shown = self._about
        if shown is None:
            return ()
        if self.has_class("-short"):
            return short_lines(shown, width)
        if shown.variant is not None:
            lines = variant_lines(shown, shown.variant, width)
        elif shown.repository is not None:
            lines = repository_lines(shown.repository, shown.source, shown.now, width)
        else:
            return ()
        return closed_up(lines, self.size.height)

    def on_resize(self) -> None:
        """Another height has room for other lines."""
        self.lines_changed()
