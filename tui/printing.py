"""What the commands print: tables, JSON and complaints, harmless to a terminal and to a pipe."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from modeldeck.engines.errors import ModeldeckError
from modeldeck.engines.text import UNSAFE, clean_line

_GAP = 2
_NARROWEST = 22
_LONGEST_COMPLAINT = 1000


def say(text: str) -> None:
    """One line, or several, on standard output."""
    print(text)  # noqa: T201


def complain(text: str) -> None:
    """One line on standard error that names the program."""
    print(f"modeldeck: {clean_line(text, _LONGEST_COMPLAINT)}", file=sys.stderr)  # noqa: T201


def note(text: str) -> None:
    """One line on standard error, set in, that goes on with what was said before."""
    print(f"  {clean_line(text, _LONGEST_COMPLAINT)}", file=sys.stderr)  # noqa: T201


def report(error: ModeldeckError) -> None:
    """Say an error on standard error: cause, then next step."""
    complain(error.cause)
    note(f"next: {error.next_step}")


def json_text(value: object) -> str:
    """``value`` as readable JSON in which everything a terminal could obey is escaped.

    A lone surrogate, which stands for a byte of a file name that is no UTF-8, is escaped too, so
    that the text can be encoded and the name be had back (``os.fsencode``).
    """
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def emit(value: object) -> int:
    """Print ``value`` as JSON. Returns exit code 0."""
    text = json_text(value)
    encoding = sys.stdout.encoding or "utf-8"
    if not encoding.lower().replace("-", "").startswith("utf8"):
        text = "".join(c if c.isascii() else _ascii_json(c) for c in text)
    say(text)
    return 0


def _ascii_json(character: str) -> str:
    return json.dumps(character)[1:-1]


def output_columns() -> int | None:
    """How wide the terminal on standard output is; None when that is no terminal."""
    if not sys.stdout.isatty():
        return None
    import shutil  # 4 ms

    return shutil.get_terminal_size().columns


def table(
    rows: Sequence[Sequence[str]], *, right: Iterable[int] = (), columns: int | None = None
) -> str:
    """Rows of text as aligned columns; the first row is the heading.

    Where ``columns`` are too few, the last and then the first column go on in further lines, so
    that nothing is lost.

    Args:
        rows: equally long rows.
        right: numbers of the columns that are aligned to the right.
        columns: of the terminal; None for as many as it takes.
    """
    widths = [max(_cells(row[i]) for row in rows) for i in range(len(rows[0]))]
    if columns is not None:
        _squeeze(widths, columns)
    flush_right = frozenset(right)

    def line(row: Sequence[str]) -> str:
        cells: list[str] = []
        for i, text in enumerate(row):
            pad = " " * (widths[i] - _cells(text))
            cells.append(pad + text if i in flush_right else text + pad)
        return (" " * _GAP).join(cells).rstrip()

    lines: list[str] = []
    for row in rows:
        wrapped = [_wrap(text, width) for text, width in zip(row, widths, strict=True)]
        lines += map(line, zip_longest(*wrapped, fillvalue=""))
    return "\n".join(lines)


def _cells(text: str) -> int:
    """How many cells ``text`` takes: wide characters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # 10 ms

    return cell_len(text)


def _squeeze(widths: list[int], columns: int) -> None:
    """Narrow the last column, then the first, until all fit or both are as narrow as is sane."""
    for i in (-1, 0):
        over = sum(widths) + _GAP * (len(widths) - 1) - columns
        if over > 0:
            widths[i] = max(min(widths[i], _NARROWEST), widths[i] - over)


def _wrap(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` cells, broken at blanks where there are some."""
    if _cells(text) <= width:
        return [text]
    from rich.cells import cell_len, chop_cells

    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            pieces = chop_cells(word, max(width, 2))
            lines = [*(line for line in lines if line), *pieces]
    return lines
