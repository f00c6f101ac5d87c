"""One model in full: what it is, its verdict, and every term that led to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content

from modeldeck.engines.paths import home_relative
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import LoadedModel, LocalModel, ModelFormat
from modeldeck.engines.units import GIB, gib_number, gib_text, tokens_text
from modeldeck.tui.state import Options
from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.memory_bar import MUTED, bar, bill_lines
from modeldeck.tui.widgets.model_rows import Entry, short_name, speed_text, verdict_cell

if TYPE_CHECKING:
    from modeldeck.engines.choice import Choice
    from modeldeck.engines.fit.types import Card, CardShare, Verdict
    from modeldeck.engines.hardware.types import GpuProcess

_SOURCES: Final[Mapping[str, str]] = {
    "closed-form": "closed form",
    "engine": "the engine's own dry run",
    "measured": "measured here",
    "needs-dry-run": "needs the dry run",
}


@dataclass(frozen=True, slots=True)
class Detail:
    """What the pane shows.

    Attributes:
        model: as it was found.
        verdict: None while it is being judged.
        card: what the verdict is for; None before that is known.
        options: what was judged for.
        choice: the engine that would run it; None when that is not known.
        loaded: set while an engine holds this model.
        notes: more lines, shown last.
        measured_tps: decode rate measured on this machine.
        others: who else holds memory of the card, the largest first.
        kept: how the user has it loaded, in words; empty when it is planned.
        took: bytes of the card and of the host's memory that ``loaded`` took, when measured.
    """

    model: LocalModel
    verdict: Verdict | None
    card: Card | None
    options: Options
    choice: Choice | None = None
    loaded: LoadedModel | None = None
    notes: tuple[str, ...] = ()
    measured_tps: float | None = None
    others: tuple[GpuProcess, ...] = ()
    took: tuple[int, int] | None = None
    kept: str = ""


def parameters_text(parameters: int) -> str:
    """``14.8 B``, ``135 M``, ``557 k``."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= size:
            value = parameters / size
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    return str(parameters)


def verdict_line(detail: Detail) -> Content:
    """Glyph and sentence: of the verdict, or of what is wrong with the file."""
    model, verdict = detail.model, detail.verdict
    cell = verdict_cell(Entry(model, verdict))
    style = MUTED if cell.style == "muted" else f"bold {cell.style}"
    if model.problem is not None:
        return Content.styled(f"✕ {model.problem}", style)
    if verdict is None:
        return Content.styled(cell.text, style)
    return Content.styled(f"{cell.text[0]} {verdict.reason}", style)


def detail_lines(detail: Detail, width: int) -> list[Content]:
    """Every line of the pane at ``width`` cells.

    What changes from model to model stands on the same lines where it can, so that walking
    through the list changes numbers in place.
    """
    model = detail.model
    lines = [_title(model), Content.styled(_facts(model), MUTED), Content()]
    verdict, card = detail.verdict, detail.card
    if verdict is not None and verdict.bill is not None and card is not None:
        lines.append(bar(verdict.bill, card, width))
        lines += bill_lines(verdict.bill, card, _cache_note(detail), detail.others, width)
        lines += [line for share in verdict.shares for line in _wrapped(_share(share), width)]
        lines.append(Content())
    lines += _wrapped(verdict_line(detail), width)
    if verdict is not None and card is not None and verdict.source in _SOURCES:
        lines += _wrapped(Content.styled(_how_known(verdict, card), MUTED), width)
    lines += [Content(), *_speed(detail), *_context(detail), *_engine(detail, width)]
    if detail.kept:
        kept = Content.assemble(("loaded with ", MUTED), detail.kept, ("  kept", MUTED))
        lines += _wrapped(kept, width)
    if detail.loaded is not None:
        lines += _loaded(detail.loaded, detail.took, width)
    if lines[-1]:
        lines.append(Content())
    lines += _wrapped(Content.styled(clean_line(home_relative(model.path), 1000), MUTED), width)
    for seen in model.also:
        also = f"also {seen.name} in {seen.source.value}"
        lines += _wrapped(Content.styled(also, MUTED), width)
    if len(model.files) > 1:
        lines.append(Content.styled(f"and {len(model.files) - 1} more files", MUTED))
    for note in detail.notes:
        lines += _wrapped(Content(clean_line(note)), width)
    return [line.truncate(width, ellipsis=True) for line in lines]


def closed_up(lines: Sequence[Content], height: int) -> list[Content]:
    """The same without empty lines as far as they do not fit, the lowest ones first."""
    kept = list(lines)
    for at in reversed(range(len(kept))):
        if len(kept) > height and not kept[at]:
            del kept[at]
    return kept


def short_lines(detail: Detail, width: int) -> list[Content]:
    """The two lines of a narrow screen: the bar with its total, and the verdict's sentence."""
    verdict, card = detail.verdict, detail.card
    first = _title(detail.model)
    if verdict is not None and verdict.bill is not None and card is not None:
        bill = verdict.bill
        total = f"  {gib_number(bill.total_gpu_bytes)} of {gib_text(card.usable_bytes)}"
        if bill.total_host_bytes:
            total += f" + {gib_number(bill.total_host_bytes)} RAM"
        if card.what_if:
            total += f" ({card.name})"
        first = bar(bill, card, max(10, width - 2 - len(total))) + Content(total)
    second = verdict_line(detail)
    if detail.loaded is not None:
        second = Content.assemble(second, ("  ▶ loaded", "bold $primary"))
    return [(Content(" ") + line).truncate(width, ellipsis=True) for line in (first, second)]


def _title(model: LocalModel) -> Content:
    quantisation = f"  {model.header.quantisation}" if model.header else ""
    return Content.assemble((short_name(model), "bold"), quantisation)


def _facts(model: LocalModel) -> str:
    header = model.header
    if header is None:
        return ""
    facts = [header.architecture, parameters_text(header.parameters)]
    if header.weights.blocks:
        facts.append(f"{len(header.weights.blocks)} blocks")
    if header.context_length:
        facts.append(f"ctx {tokens_text(header.context_length)}")
    written = model.format.written
    if model.format is not ModelFormat.GGUF and not header.quantisation.startswith(written):
        facts.append(written)
    return "  ".join(facts)


def _cache_note(detail: Detail) -> str:
    """The context the cache was counted for: what was asked, or all the model was trained for."""
    options, header = detail.options, detail.model.header
    trained = header.context_length if header and header.context_length else None
    tokens = min(options.context_tokens, trained or options.context_tokens)
    return f"{tokens_text(tokens)} {options.kv_type}"


def _how_known(verdict: Verdict, card: Card) -> str:
    where = f"what if: {card.name}" if card.what_if else f"on {card.name}"
    learnt = f", {verdict.bill.learnt}" if verdict.bill is not None and verdict.bill.learnt else ""
    proof = f", {verdict.proof}" if verdict.proof else ""
    return f"{_SOURCES[verdict.source]}{proof}{learnt}, {where}"


def _share(share: CardShare) -> Content:
    """What one of several cards takes."""
    layers = f"{share.blocks} layer{'s' * (share.blocks != 1)}"
    taken = f"{gib_number(share.bill.total_gpu_bytes)}/{gib_text(share.card.free_bytes)}"
    return Content.styled(f"{share.card.name}  {layers}  {taken}", MUTED)


def _speed(detail: Detail) -> Iterator[Content]:
    verdict = detail.verdict
    rate = speed_text(verdict, detail.measured_tps)
    if not rate:
        return
    known = "measured here"
    if detail.measured_tps is None and verdict is not None and verdict.decode_tps is not None:
        low, _, high = verdict.decode_tps
        known = f"predicted, {low:.0f} to {high:.0f}" if low >= 1 else "predicted"
        known += f", {verdict.rate_note}" if verdict.rate_note else ""
    yield Content.assemble((rate, "bold $primary"), " tok/s  ", (known, MUTED))


def _context(detail: Detail) -> Iterator[Content]:
    verdict = detail.verdict
    if verdict is not None and verdict.max_context_tokens:
        most = tokens_text(verdict.max_context_tokens)
        yield Content.assemble((most, "bold"), (" context at most", MUTED))


def _engine(detail: Detail, width: int) -> list[Content]:
    choice = detail.choice
    if choice is None or detail.model.problem is not None:
        return []
    if choice.engine is None:
        told = detail.verdict is not None and detail.verdict.source == "policy"
        reason = "" if told else f"✕ {choice.reason}"
        lines = _wrapped(Content.styled(reason, "bold $verdict-no"), width) if reason else []
        return [*lines, *_wrapped(Content.styled(choice.next_step, MUTED), width)]
    line = Content.assemble(
        ("engine ", MUTED), (choice.engine, "bold"), (f"  {choice.reason}", MUTED)
    )
    return _wrapped(line, width)


def _loaded(loaded: LoadedModel, took: tuple[int, int] | None, width: int) -> Iterator[Content]:
    yield Content.styled(f"▶ loaded in {loaded.engine}", "bold $primary")
    facts = (
        f"on {loaded.device}, context {tokens_text(loaded.context_tokens)} "
        f"{loaded.plan.kv_type}, took {loaded.load_ns / 1e9:.1f} s"
    )
    yield from _wrapped(Content.styled(facts, MUTED), width)
    if took is not None:
        gpu, host = took
        on_card = f"{gpu / GIB:.2f} GiB GPU, " if gpu else ""
        text = f"measured: {on_card}{host / GIB:.2f} GiB RAM"
        yield from _wrapped(Content.styled(text, MUTED), width)


def _wrapped(text: Content, width: int) -> list[Content]:
    return list(text.wrap(max(1, width), overflow="fold"))


class ModelDetail(LinesView):
    """The pane: in full, or in two lines with the class ``-short``.

    After changing the class call ``lines_changed``.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {MUTED.removeprefix(".")}
    DEFAULT_CSS = """
    ModelDetail {
        padding: 0 1;
        & > .detail--muted { color: $text-muted; }
        &:ansi > .detail--muted { text-style: dim; }
    }
    ModelDetail.-short { height: 2; padding: 0; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._detail: Detail | None = None
        self._instead: Sequence[Content] = ()

    def show(self, detail: Detail | None, instead: Sequence[Content] = ()) -> None:
        """Show a model or, where there is none, the lines ``instead``."""
        if detail != self._detail or instead != self._instead:
            self._detail, self._instead = detail, instead
            self.lines_changed()

    def lay_out(self, width: int) -> Sequence[Content]:
        """The lines of the full or the short form."""
        short = self.has_class("-short")
        if self._detail is None:
            return self._instead[:2] if short else self._instead
        if short:
            return short_lines(self._detail, width)
        lines = detail_lines(self._detail, width)
        return lines if self.styles.is_auto_height else closed_up(lines, self.size.height)

    def on_resize(self) -> None:
        """Another height has room for other lines."""
        self.lines_changed()
