"""The bill: one model's verdict with every term that led to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.content import Content

from modeldeck.engines.fit.types import Bill, Card, Verdict
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LoadedModel, LocalModel
from modeldeck.engines.units import gib_number, gib_text, tokens_text
from modeldeck.tui.state import Options
from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.model_rows import Entry, verdict_cell

_SOURCES = {
    "closed-form": "closed form",
    "engine": "engine dry run",
    "measured": "measured here",
    "needs-dry-run": "needs the dry run",
}


@dataclass(frozen=True, slots=True)
class Detail:
    """What the pane shows."""

    model: LocalModel
    verdict: Verdict | None
    card: Card | None
    options: Options
    loaded: LoadedModel | None = None


def parameters_text(parameters: int) -> str:
    """``14.8 B``, ``135 M``, ``557 k``."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= size:
            value = parameters / size
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    return str(parameters)


def bar_line(bill: Bill, card: Card, width: int) -> Content:
    """The bill against the card: ``░`` in use, ``█`` weights, ``▓`` KV, ``▒`` rest, ``·`` free.

    A bill larger than the card fills the line and ends in ``!``.
    """
    usable = max(card.usable_bytes, 1)
    taken = max(0, card.usable_bytes - card.free_bytes)
    terms = (
        (taken, "░", "detail--dim"),
        (bill.weights_gpu_bytes, "█", "detail--weights"),
        (bill.kv_gpu_bytes, "▓", "detail--kv"),
        (bill.compute_gpu_bytes + bill.context_overhead_bytes, "▒", "detail--other"),
        (bill.margin_bytes, "·", "detail--dim"),
    )
    parts: list[tuple[str, str]] = []
    done_bytes = done_cells = 0
    for size, glyph, style in terms:
        done_bytes += size
        cells = min(width, round(done_bytes * width / usable)) - done_cells
        if cells > 0:
            parts.append((glyph * cells, f".{style}"))
            done_cells += cells
    line = Content.assemble(*parts, ("·" * (width - done_cells), ".detail--dim"))
    if done_bytes > usable:
        line = line[: width - 1] + Content.styled("!", ".detail--bad")
    return line


def verdict_line(detail: Detail) -> Content:
    """Glyph and the sentence of the verdict."""
    model, verdict = detail.model, detail.verdict
    if model.problem is not None:
        return Content.styled(f"✕ {model.problem}", ".detail--bad")
    if verdict is None:
        return Content.styled("… judging", ".detail--dim")
    cell = verdict_cell(Entry(model, verdict))
    return Content.styled(f"{cell.text[0]} {verdict.reason}", f".detail--{cell.style}")


def detail_lines(detail: Detail, width: int) -> list[Content]:
    """Every line of the pane at ``width`` cells."""
    model, header = detail.model, detail.model.header
    lines = [_title(model)]
    if header is not None:
        blocks = len(header.weights.blocks)
        facts = [header.architecture, parameters_text(header.parameters), f"{blocks} blocks"]
        if header.context_length:
            facts.append(f"ctx {tokens_text(header.context_length)}")
        lines += _wrapped(Content.styled("  ".join(facts), ".detail--dim"), width)
    lines.append(Content())
    verdict, card = detail.verdict, detail.card
    if verdict is not None and verdict.bill is not None and card is not None:
        lines.append(bar_line(verdict.bill, card, max(10, width - 1)))
        lines += _bill(verdict.bill, detail, card)
        lines.append(Content())
    lines += _wrapped(verdict_line(detail), width)
    if verdict is not None and card is not None and model.problem is None:
        lines += _how_known(verdict, card, width)
    if detail.loaded is not None:
        lines += [Content(), *_loaded(detail.loaded, width)]
    lines.append(Content())
    lines += _wrapped(Content.styled(clean_line(str(model.path), 1000), ".detail--dim"), width)
    if len(model.files) > 1:
        lines.append(Content.styled(f"and {len(model.files) - 1} more files", ".detail--dim"))
    return lines


def short_lines(detail: Detail, width: int) -> list[Content]:
    """The two lines of a narrow screen: the bar with its total, and the verdict's sentence."""
    verdict, card = detail.verdict, detail.card
    first = _title(detail.model)
    if verdict is not None and verdict.bill is not None and card is not None:
        total = f" {gib_number(verdict.bill.total_gpu_bytes)} of {gib_text(card.usable_bytes)} "
        first = bar_line(verdict.bill, card, max(10, width - len(total) - 2)) + Content(total)
    return [Content(" ") + first, Content(" ") + verdict_line(detail)]


def _title(model: LocalModel) -> Content:
    header = model.header
    quantisation = f"  {header.quantisation}" if header else ""
    return Content.assemble((model.name, "bold"), quantisation)


def _bill(bill: Bill, detail: Detail, card: Card) -> Iterator[Content]:
    options = detail.options
    host = (
        f"{gib_number(bill.weights_host_bytes)} in RAM" if bill.weights_host_bytes > 1 << 22 else ""
    )
    context = min(options.context_tokens, _trained(detail.model) or options.context_tokens)
    yield _term("weights", bill.weights_gpu_bytes, host)
    kv_host = f", {gib_number(bill.kv_host_bytes)} in RAM" if bill.kv_host_bytes else ""
    yield _term("kv cache", bill.kv_gpu_bytes, f"{tokens_text(context)} {options.kv_type}{kv_host}")
    yield _term("compute", bill.compute_gpu_bytes)
    yield _term("cuda context", bill.context_overhead_bytes, "assumed")
    yield _term("margin", bill.margin_bytes)
    left = card.free_bytes - bill.total_gpu_bytes - bill.margin_bytes
    free = f"of {gib_text(card.free_bytes)} free"
    yield _term("left over", left, free) if left >= 0 else _term("short", -left, free)


def _trained(model: LocalModel) -> int:
    return model.header.context_length if model.header else 0


def _term(name: str, size_bytes: int, note: str = "") -> Content:
    text = f"{name:<13}{gib_number(size_bytes):>6}"
    return Content.assemble(text, (f"  {note}" if note else "", ".detail--dim"))


def _how_known(verdict: Verdict, card: Card, width: int) -> Iterator[Content]:
    if verdict.decode_tps is not None:
        low, middle, high = verdict.decode_tps
        yield Content(f"~{middle:.0f} tok/s  ({low:.0f} to {high:.0f}, predicted)")
    if verdict.max_context_tokens:
        yield Content(f"up to {tokens_text(verdict.max_context_tokens)} context fits")
    where = f"if this were an {card.name}" if card.what_if else f"on the {card.name} here"
    yield from _wrapped(
        Content.styled(f"{_SOURCES[verdict.source]}, {where}, GiB", ".detail--dim"), width
    )


def _loaded(loaded: LoadedModel, width: int) -> Iterator[Content]:
    yield Content.styled("▶ loaded", ".detail--good")
    facts = (
        f"{loaded.engine} on {loaded.device}, context {tokens_text(loaded.context_tokens)} "
        f"{loaded.plan.kv_type}, loaded in {loaded.load_ns / 1e9:.1f} s"
    )
    yield from _wrapped(Content.styled(facts, ".detail--dim"), width)


def _wrapped(text: Content, width: int) -> list[Content]:
    return list(text.wrap(max(1, width), overflow="fold"))


class ModelDetail(LinesView):
    """The pane: in full, or in two lines with the class ``-short``."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "detail--weights",
        "detail--kv",
        "detail--other",
        "detail--dim",
        "detail--muted",
        "detail--good",
        "detail--warn",
        "detail--accent",
        "detail--bad",
    }
    DEFAULT_CSS = """
    ModelDetail {
        padding: 0 1;
        & > .detail--weights { color: $primary; }
        & > .detail--kv { color: $secondary; }
        & > .detail--other { color: $warning; }
        & > .detail--dim, & > .detail--muted { color: $text-muted; }
        & > .detail--good { color: $text-success; text-style: bold; }
        & > .detail--warn { color: $text-warning; text-style: bold; }
        & > .detail--accent { color: $text-accent; text-style: bold; }
        & > .detail--bad { color: $text-error; text-style: bold; }
        &:ansi > .detail--dim, &:ansi > .detail--muted { text-style: dim; }
    }
    ModelDetail.-short { height: 2; padding: 0; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._detail: Detail | None = None
        self._empty: Sequence[Content] = ()

    def show(self, detail: Detail | None, instead: Sequence[Content] = ()) -> None:
        """Show a model, or other lines when there is none."""
        if detail != self._detail or instead != self._empty:
            self._detail, self._empty = detail, instead
            self.lines_changed()

    def lay_out(self, width: int) -> Sequence[Content]:
        """The lines of the full or the short form."""
        if self._detail is None:
            return self._empty[:2] if self.has_class("-short") else self._empty
        if self.has_class("-short"):
            return [line.truncate(width) for line in short_lines(self._detail, width)]
        return detail_lines(self._detail, width)
