"""Write docs/accuracy.md: every published number with its prediction and its error.

Run as ``python -m tests.accuracy.report docs/accuracy.md`` (``make accuracy``).
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.accuracy.buffers import Buffer, buffers, unpriced
from tests.accuracy.placed import placed
from tests.accuracy.rates import Row, left_out_error, rows

_HEAD = """\
# Accuracy

What modeldeck predicts beside what was published. Written by `make accuracy`; a test keeps it
current and holds the bounds. The published numbers are in `tests/accuracy/*.csv` with their
sources; models are put together from their published shapes (`tests/accuracy/models.toml`), so that
nothing is downloaded.
"""

_RATES = """\
## Rates

Tokens per second. *Left out* is the error when the row has no say: the prediction is scaled by what
the other judged rows of its family are off, so that a constant fitted to one row alone would show.
A row of a family of its own has no others, and its left-out error is its error: of those families
one row is all there is, and the constant was settled on it. Memory bandwidth marked `?` was not
stated and is assumed: dual-channel DDR4-3200 or DDR5-5600. A bound is missing where the report
leaves out what decides, or tells of something that is not predicted; the note says why.
"""

_BUFFERS = """\
## Buffers

MiB, as llama.cpp logs them; all GPUs together, compute of each. Bounds: weights a MiB, or 0.2 % and
8 MiB where the sizes are a file's; caches 0.1 %; compute 5 % or 32 MiB, whichever is larger. *Open*
is a number without a bound, because the report leaves out what decides; the note says what.
"""

_PLACED = """\
## What ran on the card, and what did not

An RTX 3060 12 GB; the verdict with its usual margin of 256 MiB. MiB.
"""


def report() -> str:
    """The whole page."""
    return "\n".join([_HEAD, _RATES, *_rates(), "", _BUFFERS, *_buffers(), "", _PLACED, *_placed()])


def _rates() -> list[str]:
    judged = [row for row in rows() if row.bound is not None]
    covered = sum(row.covered for row in judged)
    everywhere = sum(row.covered for row in rows())
    lines = [
        f"{len(judged)} of {len(rows())} rows are judged; the band holds the measured rate in"
        f" {covered} of them ({_share(covered, len(judged))}), and in {everywhere} of all rows"
        f" ({_share(everywhere, len(rows()))}). No band is wider than ±35 %.",
        "",
        "| family | rows | mean error, without sign | largest | largest left out |",
        "|---|---:|---:|---:|---:|",
    ]
    for family in sorted({row.family for row in judged}):
        own = [row for row in judged if row.family == family]
        errors = [abs(row.error) for row in own]
        left = max(abs(left_out_error(row)) for row in own)
        lines.append(
            f"| {family} | {len(own)} | {100 * sum(errors) / len(own):.0f} %"
            f" | {100 * max(errors):.0f} % | {100 * left:.0f} % |"
        )
    lines += [
        "",
        "| row | model | on | RAM GB/s | depth | grade | measured | predicted | band | error"
        " | left out | bound | note | source |",
        "|---|---|---|---:|---:|---|---:|---:|---|---:|---:|---:|---|---|",
    ]
    return lines + [_rate(row) for row in rows()]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def _rate(row: Row) -> str:
    known = row.facts
    model = f"{known['model'].replace('_', '.')} {known['file']} {known['kind']}"
    bound = "" if row.bound is None else f"±{100 * row.bound:.0f} %"
    low, middle, high = row.rates
    cells = [
        known["id"],
        f"{model}, {known['engine']}",
        _where(known),
        known["ram"],
        known["depth"],
        known["grade"],
        f"{row.measured:g}",
        f"{middle:.1f}",
        f"{low:.1f}–{high:.1f}",
        f"{100 * row.error:+.0f} %",
        f"{100 * left_out_error(row):+.0f} %",
        bound,
        known["why"],
        known["source"],
    ]
    return f"| {' | '.join(cells)} |"


def _where(known: dict[str, str]) -> str:
    if not known["gpus"]:
        return f"CPU, {known['threads']} threads"
    parts = [known["gpus"].replace("=1", "")]
    if known["layers"]:
        parts.append(f"{known['layers']} blocks")
    if known["moe"]:
        experts = f"{float(known['part']):.0%} of the " if known["part"] else ""
        parts.append(f"{experts}experts of {known['moe']} blocks on the CPU")
    return ", ".join(parts)


def _buffers() -> list[str]:
    known = buffers()
    judged = [buffer for buffer in known if buffer.held]
    held, loose = sum(buffer.holds for buffer in judged), len(known) - len(judged)
    lines = [
        f"{held} of {len(judged)} numbers with a bound are within it; {loose} are open.",
        "",
        "| row | model | context | slots | micro-batch | flash attention | cache | buffer"
        " | published | predicted | error | bound | note | source |",
        "|---|---|---:|---:|---:|---|---|---|---:|---:|---:|---|---|---|",
        *(_buffer(buffer) for buffer in known),
        "",
        "Published, and without a prediction:",
        "",
        "| what | published | why |",
        "|---|---|---|",
    ]
    return lines + [f"| {row['what']} | {row['published']} | {row['why']} |" for row in unpriced()]


def _buffer(buffer: Buffer) -> str:
    known = buffer.facts
    cells = [
        known["id"],
        f"{known['model'].replace('_', '.')} {known['file']}, {known['gpus']} GPU",
        known["ctx"],
        known["slots"],
        known["ubatch"],
        "on" if known["fa"] == "1" else "off",
        known["kv_type"],
        buffer.term,
        f"{buffer.published_mib:g}",
        f"{buffer.predicted_mib:.2f}",
        f"{buffer.error_mib:+.2f}",
        ("held" if buffer.holds else "missed") if buffer.held else "open",
        known["why"],
        known["source"],
    ]
    return f"| {' | '.join(cells)} |"


def _placed() -> list[str]:
    known = placed()
    wrong = sum(row.ran != row.fits for row in known)
    lines = [
        f"{len(known)} loads, {wrong} wrong verdicts.",
        "",
        "| row | model | context | slots | cache | free | needs | ran fully | verdict | source |",
        "|---|---|---:|---:|---|---:|---:|---|---|---|",
    ]
    for row in known:
        cells = [
            row.facts["id"],
            f"{row.facts['model'].replace('_', '.')} {row.facts['file']}",
            row.facts["ctx"],
            row.facts["slots"],
            row.facts["kv"],
            f"{row.free_mib:.0f}",
            f"{row.need_mib:.0f}",
            "yes" if row.ran else "no",
            "fits" if row.fits else "does not fit",
            row.facts["source"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(report(), encoding="utf-8")
