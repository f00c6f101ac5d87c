"""What the throughput panel says, as lines of fixed cells: pure, so that a table can test it.

Every value has its place: a number that changes never moves another one. Rates name who measured
them, ``engine`` or our ``clock``; what nobody measured is ``–``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from textual.content import Content

from modeldeck.engines.chat import ClockSource
from modeldeck.engines.hardware.types import GpuSnapshot, HostSnapshot
from modeldeck.engines.meter import IDLE, Rate, Reading
from modeldeck.tui.context_use import ContextUse

VALUE: Final = ".panel--value"
DIM: Final = ".panel--dim"
METER: Final = ".panel--meter"
HISTORY: Final = ".panel--history"
STYLES: Final = frozenset({"panel--value", "panel--dim", "panel--meter", "panel--history"})

NOBODY_KNOWS: Final = "–"
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_GIB: Final = 1024**3
_SOURCES: Final[dict[ClockSource, str]] = {"engine": "engine", "wall": "clock"}
_LABEL: Final = 9
_NUMBER_END: Final = 16
TOP_LINES: Final = 4
"""Lines above the table of values."""
NUMBERS_START: Final = 12
NUMBERS_END: Final = 18
"""The columns the numbers of the table stand in; every character before is one cell wide."""
_UNIT: Final = 8
_ENDED: Final = frozenset({"done", "stopped", "failed"})


@dataclass(frozen=True, slots=True)
class PanelData:
    """Everything the panel shows.

    Attributes:
        reading: of the reply being written, or of the last one.
        model: label of the loaded model; empty when none is.
        engine: label of the engine that holds it.
        context_use: tokens of the conversation in the context.
        context_total_tokens: what the context holds.
        gpu: the card the model runs on; None when there is none or the model is not on it.
        host: the machine.
        engine_memory_bytes: resident host memory of the engine's process.
        tokens_per_joule: decode rate over the card's power, when both are known.
    """

    reading: Reading = IDLE
    model: str = ""
    engine: str = ""
    context_use: ContextUse | None = None
    context_total_tokens: int | None = None
    gpu: GpuSnapshot | None = None
    host: HostSnapshot | None = None
    engine_memory_bytes: int | None = None
    tokens_per_joule: float | None = None


NOTHING: Final = PanelData()


def tokens_per_joule(reading: Reading, gpu: GpuSnapshot | None) -> float | None:
    """Tokens per second over watts, while decoding; for a model that runs on ``gpu`` alone."""
    if gpu is None or not gpu.power_watts or reading.decode_now is None:
        return None
    if reading.phase != "decode":
        return None
    return reading.decode_now.tokens_per_second / gpu.power_watts


# Numbers in few and constant cells.


def rate_text(value: float | None) -> str:
    """Three or four digits: ``0.42``, ``34.2``, ``640``; at most five cells below a million."""
    if value is None or not math.isfinite(value):
        return NOBODY_KNOWS
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def count_text(tokens: int | None) -> str:
    """A count: ``799``, ``9999``, ``12.3k``, ``131k``."""
    if tokens is None:
        return NOBODY_KNOWS
    if tokens < 10_000:
        return str(tokens)
    thousands = tokens / 1024 if tokens % 1024 == 0 else tokens / 1000
    return f"{thousands:.0f}k" if thousands >= 100 or tokens % 1024 == 0 else f"{thousands:.1f}k"


def use_text(use: ContextUse | None) -> str:
    """What is in the context, no more exact than it is known: ``799``, ``~12k``, ``799+image``."""
    if use is None:
        return NOBODY_KNOWS
    more = use.more.replace(" ", "")
    if use.exact:
        return f"{count_text(use.tokens)}{more}"
    about = str(use.tokens) if use.tokens < 10_000 else f"{use.tokens / 1000:.0f}k"
    return f"~{about}{more}"


def seconds_text(nanoseconds: int | None) -> str:
    """Seconds: ``0.66``, ``12.3``, ``123``."""
    return rate_text(None if nanoseconds is None else nanoseconds / 1e9)


def milliseconds_text(nanoseconds: int | None) -> str:
    """Milliseconds: ``3.21``, ``29``, ``1431``."""
    if nanoseconds is None:
        return NOBODY_KNOWS
    return f"{nanoseconds / 1e6:.{2 if nanoseconds < 9_995_000 else 0}f}"


def bar(fraction: float | None, cells: int) -> str:
    """A bar of ``cells``; never full before the end, never empty once begun."""
    if fraction is None or cells < 1:
        return "░" * cells
    filled = round(min(1.0, max(0.0, fraction)) * cells)
    if fraction > 0:
        filled = max(1, filled)
    if fraction < 1:
        filled = min(cells - 1, filled) if cells > 1 else filled
    return "█" * filled + "░" * (cells - filled)


def ceiling(value: float) -> float:
    """The next 1, 2 or 5 with zeros: a scale that stays while the values wander."""
    if value < sys.float_info.min:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 5) if value <= step * power), 10 * power)


def history_text(history: Sequence[float], cells: int) -> str:
    """The newest ``cells`` rates as blocks, newest at the right edge."""
    shown = list(history[-cells:]) if cells > 0 else []
    top = ceiling(max(shown, default=0.0))
    blocks = "".join(_BLOCKS[min(7, int(max(0.0, rate) / top * 8))] for rate in shown)
    return blocks.rjust(cells)


# Lines.


def _row(label: str, number: str, unit: str, source: ClockSource | None) -> Content:
    """``label   number unit   source``, each in its own column."""
    space = " " * max(1, _NUMBER_END - len(label) - cell_len(number))
    unit += " " * max(0, _UNIT - cell_len(unit))
    origin = _SOURCES[source] if source else ""
    return Content.assemble((label, DIM), space, number, (f" {unit}{origin}", DIM))


def _rate_row(label: str, rate: Rate | None) -> Content:
    number = rate_text(rate.tokens_per_second if rate else None)
    return _row(label, number, "tok/s", rate.source if rate else None)


def _bar_row(label: str, fraction: float | None, numbers: str, width: int) -> Content:
    numbers = f"{numbers:>10}"
    cells = max(1, width - _LABEL - 1 - len(numbers))
    return Content.assemble(
        (label.ljust(_LABEL), DIM), (bar(fraction, cells), METER), f" {numbers}"
    )


def _gib_row(label: str, used: int | None, total: int | None, width: int) -> Content:
    used_text = NOBODY_KNOWS if used is None else f"{used / _GIB:.1f}"
    total_text = NOBODY_KNOWS if total is None else f"{total / _GIB:.1f}"
    fraction = used / total if used is not None and total else None
    return _bar_row(label, fraction, f"{used_text}/{total_text}", width)


def headline(reading: Reading) -> tuple[str, str]:
    """The number that matters now, and its unit."""
    if reading.phase in ("load", "prefill"):
        fraction = reading.phase_fraction
        return (NOBODY_KNOWS if fraction is None else f"{fraction * 100:.0f}"), "%"
    if reading.phase in _ENDED:
        mean = reading.decode_mean
        return rate_text(mean.tokens_per_second if mean else None), "tok/s mean"
    now = reading.decode_now if reading.phase == "decode" else None
    return rate_text(now.tokens_per_second if now else None), "tok/s"


def _headline_source(reading: Reading) -> ClockSource | None:
    if reading.phase == "decode":
        return reading.decode_now.source if reading.decode_now else None
    if reading.phase in _ENDED:
        return reading.decode_mean.source if reading.decode_mean else None
    return None


def _state_row(reading: Reading) -> Content:
    seconds = str(reading.elapsed_ns // 1_000_000_000) if reading.elapsed_ns else ""
    return _row(reading.phase, seconds, "s" if seconds else "", _headline_source(reading))


def _speed_rows(reading: Reading) -> list[Content]:
    mean = reading.decode_mean
    cjk, words = reading.cjk_characters_per_second, reading.words_per_second
    first_ns, gap_ns = reading.first_token_ns, reading.gap_p50_ns
    gap_source = None if gap_ns is None else reading.gap_source
    tokens_in, tokens_out = count_text(reading.prompt_tokens), count_text(reading.completion_tokens)
    over = mean.source if mean else None
    return [
        _rate_row("mean", mean),
        _rate_row("prefill", reading.prefill),
        _row("first token", seconds_text(first_ns), "s", None if first_ns is None else "wall"),
        _row("gap p50", milliseconds_text(gap_ns), "ms", gap_source),
        _row("gap p95", milliseconds_text(reading.gap_p95_ns), "ms", gap_source),
        _row("cjk", rate_text(cjk), "字/s", None if cjk is None else over),
        _row("words", rate_text(words), "words/s", None if words is None else over),
        Content.assemble(("feel".ljust(_LABEL), DIM), reading.feel or NOBODY_KNOWS),
        _row("tokens in", tokens_in, "", None),
        _row("tokens out", tokens_out, "", None),
    ]


def _gpu_rows(panel: PanelData, gpu: GpuSnapshot, width: int) -> list[Content]:
    def known(value: float | None, unit: str) -> str:
        return f"{NOBODY_KNOWS if value is None else f'{value:.0f}':>3} {unit}"

    use = "  ".join(
        (
            known(gpu.utilisation_percent, "%"),
            known(gpu.temperature_celsius, "°C"),
            known(gpu.power_watts, "W"),
        )
    )
    energy = panel.tokens_per_joule
    return [
        _gib_row("vram GiB", gpu.memory_used_bytes, gpu.memory_total_bytes, width),
        Content.assemble(("gpu", DIM), f"{use:>{max(0, width - 3)}}"),
        _row("energy", rate_text(energy), "tok/J", None),
    ]


def _host_rows(panel: PanelData, width: int) -> list[Content]:
    host = panel.host
    total = host.memory_total_bytes if host else None
    rows = [_gib_row("ram GiB", panel.engine_memory_bytes, total, width)]
    if panel.gpu is None:
        percent = host.cpu_percent if host else None
        cores = f"  {host.cpu_cores} cores" if host else ""
        use = f"{NOBODY_KNOWS if percent is None else f'{percent:.0f}':>3} %{cores}"
        rows.append(Content.assemble(("cpu", DIM), f"{use:>{max(0, width - 3)}}"))
    return rows


def _context_row(panel: PanelData, width: int) -> Content:
    total = panel.context_total_tokens
    numbers = f"{use_text(panel.context_use)}/{count_text(total)}"
    return _bar_row("context", _share_of_context(panel), numbers, width)


def _share_of_context(panel: PanelData) -> float | None:
    """The share that is taken; None where images nobody counted come on top."""
    use, total = panel.context_use, panel.context_total_tokens
    return use.tokens / total if use is not None and total and not use.images else None


def panel_lines(panel: PanelData, width: int) -> list[Content]:
    """The panel's lines; always as many on the same machine.

    Args:
        panel: what to show.
        width: cells of a line, 32 to show everything; one is left free at the left edge.
    """
    inner = width - 1
    reading = panel.reading
    number, unit = headline(reading)
    lines = [
        Content.assemble((f"{number:>5}", VALUE), f" {unit}"),
        Content.styled(history_text(reading.history, inner), HISTORY),
        _state_row(reading),
        Content(),
        *_speed_rows(reading),
        Content(),
        _context_row(panel, inner),
        *(_gpu_rows(panel, panel.gpu, inner) if panel.gpu else ()),
        *_host_rows(panel, inner),
    ]
    return [Content(" ") + line.truncate(inner) for line in lines]


def one_line(panel: PanelData, width: int) -> Content:
    """The panel for a narrow screen: the most important first, as much as ``width`` takes."""
    reading = panel.reading
    number, unit = headline(reading)
    source = _headline_source(reading)
    tokens = f"in {count_text(reading.prompt_tokens)} out {count_text(reading.completion_tokens)}"
    share, use = _share_of_context(panel), panel.context_use
    percent = NOBODY_KNOWS if share is None else f"{share * 100:.0f}"
    about = "~" if share is not None and use is not None and not use.exact else ""
    parts = [
        Content.assemble((f"{number:>5}", VALUE), f" {unit.removesuffix(' mean')}"),
        Content.styled(f"{_SOURCES[source] if source else reading.phase:<7}", DIM),
        Content.styled(history_text(reading.history, 5), HISTORY),
        Content.assemble(("first ", DIM), f"{seconds_text(reading.first_token_ns):>4} s"),
        Content(f"{tokens:<15}"),
        Content.assemble(("ctx ", DIM), f"{about + percent:>2} %"),
        *_memory_parts(panel),
    ]
    line = Content()
    for part in parts:
        longer = line + Content(" ") + part
        if longer.cell_length > width:
            break
        line = longer
    return line


def _memory_parts(panel: PanelData) -> list[Content]:
    def gib(value: int | None) -> str:
        return NOBODY_KNOWS if value is None else f"{value / _GIB:.1f}"

    if panel.gpu is not None:
        memory = f"{gib(panel.gpu.memory_used_bytes)}/{gib(panel.gpu.memory_total_bytes)}"
        return [Content.assemble(("vram ", DIM), memory)]
    return [Content.assemble(("ram ", DIM), f"{gib(panel.engine_memory_bytes)} GiB")]
