"""A bench for the list of models and its detail pane: made-up models, real verdicts.

Run it in a terminal to look at it::

    PYTHONPATH=.pkg python -m tests.support.model_bench [number of models] [theme]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from textual import getters, on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import Resize
from textual.filter import LineFilter

from modeldeck.engines.fit.types import Bill, Card, Verdict, VerdictKind
from modeldeck.engines.types import (
    BlockWeights,
    HParam,
    LoadedModel,
    LocalModel,
    ModelFormat,
    ModelHeader,
    Plan,
    Source,
    WeightTable,
)
from modeldeck.engines.units import GIB, MIB
from modeldeck.themes import load_themes
from modeldeck.tui.filters import ControlFilter
from modeldeck.tui.state import Options
from modeldeck.tui.theme import textual_themes
from modeldeck.tui.widgets.model_detail import Detail, ModelDetail
from modeldeck.tui.widgets.model_rows import (
    COLUMNS,
    SORTS,
    Entry,
    model_row,
    sorted_entries,
)
from modeldeck.tui.widgets.row_list import RowList

NO_HPARAMS: Mapping[str, HParam] = MappingProxyType({})
CARD = Card("RTX 3060", int(11.63 * GIB), int(11.54 * GIB), what_if=False, ram_bytes=64 * GIB)
OPTIONS = Options(16384, "f16")


def model(
    name: str,
    quantisation: str,
    size_gb: float,
    *,
    architecture: str = "qwen3",
    parameters: float = 14.8e9,
    blocks: int = 40,
    context: int = 40960,
    problem: str | None = None,
) -> LocalModel:
    """A model as the scan would find it; with a problem it has no header."""
    path = Path(f"/models/{name}.gguf")
    table = WeightTable(tuple(BlockWeights(i, 1 << 20, 0, 0) for i in range(blocks)))
    header = ModelHeader(
        architecture, name, int(parameters), quantisation, context, 151936, True, NO_HPARAMS,
        table, 300,
    )  # fmt: skip
    return LocalModel(
        name, path, (path,), Source.FOLDER, ModelFormat.GGUF, int(size_gb * 1e9),
        None if problem else header, problem,
    )  # fmt: skip


def bill(weights_gib: float, cache_gib: float, host_gib: float = 0) -> Bill:
    """A bill with the terms that differ between models."""
    return Bill(
        weights_gpu_bytes=int(weights_gib * GIB),
        weights_host_bytes=int(host_gib * GIB),
        kv_gpu_bytes=int(cache_gib * GIB),
        compute_gpu_bytes=154 * MIB,
        context_overhead_bytes=256 * MIB,
        margin_bytes=256 * MIB,
    )


def known_entries() -> tuple[Entry, ...]:
    """One model for every verdict there is."""
    kind = VerdictKind
    return (
        Entry(
            model("Qwen3-8B-Q5_K_M", "Q5_K_M", 5.4, parameters=8.2e9, blocks=36),
            Verdict(
                kind.FITS, "measured", "fits: 7.1 of 11.5 GiB with 16k context",
                bill(4.9, 1.4, 0.41), 36, 36, 37, 40960, (45, 53, 60),
            ),
            measured_tps=52.8,
        ),
        Entry(
            model("Qwen3-14B-Q4_K_M", "Q4_K_M", 8.4),
            Verdict(
                kind.FITS, "engine", "fits: 10.9 of 11.5 GiB with 16k context",
                bill(7.97, 2.5, 0.41), 40, 40, 41, 19456, (28, 34, 40),
            ),
            loaded=True,
        ),
        Entry(
            model("gpt-oss-20b-MXFP4", "MXFP4", 11.3, architecture="gpt-oss", parameters=20.9e9,
                  blocks=24, context=131072),
            Verdict(
                kind.FITS_EXPERTS_ON_CPU, "closed-form",
                "fits with the experts of 2 blocks on the CPU", bill(9.6, 0.4, 1.3), 24, 24, 25,
                16384, (50, 64, 70),
            ),
        ),
        Entry(
            model("gemma-3-27b-it-Q4_K_M", "Q4_K_M", 15.4, architecture="gemma3",
                  parameters=27e9, blocks=62, context=131072),
            Verdict(
                kind.FITS_PARTIAL, "closed-form",
                "39 of 62 layers on the GPU: 6.2 GiB short of all", bill(9.2, 1.1, 6.1), 39, 62,
                40, 8192, (4.5, 6, 7),
            ),
        ),
        Entry(
            model("Llama-3.1-70B-Instruct-IQ2_XS", "IQ2_XS", 19.7, architecture="llama",
                  parameters=70.6e9, blocks=80, context=131072),
            Verdict(
                kind.CPU_ONLY, "closed-form",
                "CPU only: none of 80 layers fits in 11.5 GiB on the GPU",
                bill(0, 0, 19.2), 0, 80, 0, 4096, (0.4, 0.6, 0.8),
            ),
        ),
        Entry(
            model("DeepSeek-V3-Q2_K", "Q2_K", 246, architecture="deepseek2", parameters=671e9,
                  blocks=61, context=163840),
            Verdict(
                kind.DOES_NOT_FIT, "closed-form",
                "does not fit: needs 231 GiB, there are 11.5 on the GPU and 64 in memory",
                bill(229, 1.2, 0.5), 0, 61, 0, 0,
            ),
        ),
        Entry(
            model("phi-4-bf16", "BF16", 29.3, architecture="phi3", parameters=14.7e9),
            Verdict(kind.CANNOT_RUN, "closed-form", "cannot run: no engine here reads AWQ"),
        ),
        Entry(
            model("Qwen3-Next-80B-A3B-UD-Q2_K_XL", "Q2_K_XL", 29.8, architecture="qwen3next"),
            Verdict(kind.NOT_JUDGED, "needs-dry-run", "not judged yet: a recurrent architecture"),
        ),
        Entry(model("通义千问-三十亿-e\u0301te\u0301-한국어-Q8_0", "Q8_0", 3.2)),
        Entry(
            model("[red]broken[/red] [/]", "", 0.4,
                  problem="The file ends inside its header: 12 of 4096 bytes are missing."),
        ),
    )  # fmt: skip


def many_entries(count: int) -> Iterator[Entry]:
    """``count`` entries: the known ones, then the same again under numbered names."""
    known = known_entries()
    yield from known[:count]
    for number in range(len(known), count):
        entry = known[number % (len(known) - 1)]
        quantisation = entry.model.header.quantisation if entry.model.header else ""
        name = f"{entry.model.name.removesuffix(quantisation)}v{number:05}-{quantisation}"
        yield Entry(
            model(name, quantisation, entry.model.size_bytes / 1e9 + number / 1e5), entry.verdict
        )


@cache
def bench_entries(count: int) -> tuple[Entry, ...]:
    """``many_entries``, made once."""
    return tuple(many_entries(count))


class ModelBench(App[None]):
    """The list and the pane as a screen would put them together."""

    CSS = """
    RowList { width: 1fr; }
    ModelDetail { width: 40; height: 1fr; border-left: solid $rule; }
    Screen.-narrow Horizontal { layout: vertical; }
    Screen.-narrow ModelDetail { width: 1fr; height: 2; border-left: none; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [  # noqa: RUF012
        Binding("enter", "chat", "chat"),
        Binding("s", "sort", "sort"),
        Binding("t", "theme", "theme"),
    ]

    rows = getters.query_one(RowList)
    detail = getters.query_one(ModelDetail)

    def __init__(self, entries: Sequence[Entry] = (), *, theme: str = "deck-dark") -> None:
        super().__init__()
        self._entries = {entry.model.id: entry for entry in entries}
        self._sort = "name"
        themes = textual_themes(load_themes()[0])
        for known in themes:
            self.register_theme(known)
        self._themes = [known.name for known in themes]
        self.theme = theme
        self.chosen: list[str] = []

    def get_line_filters(self) -> list[LineFilter]:
        """As in the deck."""
        return [*super().get_line_filters(), ControlFilter()]

    def compose(self) -> ComposeResult:
        """The list beside the pane, or above it."""
        with Horizontal():
            yield RowList(COLUMNS)
            yield ModelDetail()

    def on_mount(self) -> None:
        """Show everything."""
        self.rows.focus()
        self.show_entries(tuple(self._entries.values()))

    def on_resize(self, event: Resize) -> None:
        """Fold the pane where there is no room."""
        self.detail.set_class(event.size.width < 100, "-short")
        self.detail.lines_changed()

    def show_entries(self, entries: Sequence[Entry]) -> None:
        """Show ``entries`` in their order."""
        self._entries = {entry.model.id: entry for entry in entries}
        self.rows.set_rows(tuple(model_row(entry) for entry in entries))

    @on(RowList.Highlighted)
    def _highlighted(self, event: RowList.Highlighted) -> None:
        entry = self._entries.get(event.key or "")
        self.detail.show(detail_of(entry) if entry else None)

    @on(RowList.Selected)
    def _selected(self, event: RowList.Selected) -> None:
        self.chosen.append(event.key)

    def action_chat(self) -> None:
        self.rows.action_select()

    def action_sort(self) -> None:
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self.rows.show_sorting(self._sort, self._sort in {"context", "speed"})
        self.show_entries(sorted_entries(tuple(self._entries.values()), self._sort))

    def action_theme(self) -> None:
        self.theme = self._themes[(self._themes.index(self.theme) + 1) % len(self._themes)]


def detail_of(entry: Entry) -> Detail:
    """The detail of a bench entry."""
    loaded = None
    if entry.loaded:
        loaded = LoadedModel(
            "1", "llama_server", "b6700", entry.model, Plan(16384), 16384, 1, 4_200_000_000, "CUDA0"
        )
    return Detail(
        entry.model, entry.verdict, CARD, OPTIONS, loaded=loaded, measured_tps=entry.measured_tps
    )


def main(arguments: Sequence[str]) -> None:
    """Run the bench in this terminal."""
    count, theme, *_ = [*arguments, *("10000", "deck-dark")[len(arguments) :]]
    ModelBench(bench_entries(int(count)), theme=theme).run()


if __name__ == "__main__":
    main(sys.argv[1:])
