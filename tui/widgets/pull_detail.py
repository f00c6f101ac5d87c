"""One pull in full: its files, what it waits for, what went wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from textual.content import Content

from modeldeck.engines.paths import home_relative
from modeldeck.engines.pulls.types import FileProgress, PullProgress, PullState
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import age_text
from modeldeck.tui.widgets.lines_view import LinesView
from modeldeck.tui.widgets.memory_bar import MUTED
from modeldeck.tui.widgets.model_detail import closed_up
from modeldeck.tui.widgets.model_rows import size_text
from modeldeck.tui.widgets.pull_rows import (
    bar_text,
    percent_text,
    rate_text,
    state_cell,
    time_text,
)

_FILE_BAR_CELLS = 20
_STYLES = {
    "muted": "$text-muted",
    "accent": "bold $primary",
    "warn": "bold $text-warning",
    "good": "bold $text-success",
    "bad": "bold $text-error",
}


def pull_lines(pull: PullProgress, now: float, width: int) -> list[Content]:
    """Every line of the pane; ``now`` in seconds since 1970."""
    lines = _wrapped(Content.styled(clean_line(pull.title), "bold"), width)
    lines += _wrapped(Content.styled(clean_line(pull.target), MUTED), width)
    lines += [Content(), _state_line(pull, now)]
    if not pull.state.is_final:
        lines += _progress(pull, width)
    for said in (pull.note, pull.problem):
        if said:
            style = "bold $text-error" if said is pull.problem else ""
            lines += _wrapped(Content.styled(clean_line(said, 400), style), width)
    if pull.next_step:
        lines += _wrapped(Content(clean_line(pull.next_step, 400)), width)
    lines.append(Content())
    for file in pull.files:
        lines += _file_lines(file, width)
    if pull.placed:
        lines += [Content(), Content.styled("placed", MUTED)]
        for path in pull.placed:
            lines += _wrapped(Content(clean_line(home_relative(Path(path)), 500)), width)
    return [line.truncate(width, ellipsis=True) for line in lines]


def _wrapped(text: Content, width: int) -> list[Content]:
    return list(text.wrap(max(1, width), overflow="fold"))


def _state_line(pull: PullProgress, now: float) -> Content:
    cell = state_cell(pull)
    more = ""
    if pull.ended_at is not None:
        more = f"  {age_text(max(0.0, now - pull.ended_at))} ago"
    elif pull.state is PullState.WAITING and pull.retry_at is not None:
        more = f"  goes on in {time_text(max(0.0, pull.retry_at - now))}"
    return Content.assemble((cell.text, _STYLES[cell.style]), (more, MUTED))


def _progress(pull: PullProgress, width: int) -> Iterator[Content]:
    done, total = pull.done_bytes, pull.total_bytes
    if total:
        yield Content.assemble(
            (bar_text(done, total, max(4, width - 6)), "$primary"),
            f" {percent_text(done, total):>4}",
        )
    of = f" of {size_text(total)}B" if total is not None else "B"
    facts = [f"{size_text(done)}{of}"]
    if pull.bytes_per_second is not None:
        facts.append(rate_text(pull.bytes_per_second))
    if pull.seconds_left is not None:
        facts.append(f"{time_text(pull.seconds_left)} left")
    yield Content("   ".join(facts))


def _file_lines(file: FileProgress, width: int) -> Iterator[Content]:
    yield Content(clean_line(file.name, 300)).truncate(width, ellipsis=True)
    done, total = file.done_bytes, file.total_bytes
    bar = bar_text(done, total, _FILE_BAR_CELLS)
    of = f"{size_text(done)} of {size_text(total)}B" if total is not None else f"{size_text(done)}B"
    if (verified := file.verified_percent) is not None:
        of += f", {verified}% verified"
    yield Content.styled(f"  {bar} {of}" if bar else f"  {of}", MUTED)


def short_lines(pull: PullProgress, now: float, width: int) -> list[Content]:
    """The two lines of a narrow screen: the state, and what is wrong or which file."""
    first = Content.assemble((clean_line(pull.title), "bold"), "  ") + _state_line(pull, now)
    if pull.problem:
        cause, step = clean_line(pull.problem, 400), clean_line(pull.next_step, 400)
        second = Content.assemble((cause, "$text-error"), f" {step}" if step else "")
    elif pull.placed:
        second = Content.styled(clean_line(home_relative(Path(pull.placed[0])), 500), MUTED)
    else:
        open_files = [one for one in pull.files if one.done_bytes != one.total_bytes]
        name = clean_line(open_files[0].name, 300) if open_files else ""
        second = Content.styled(clean_line(pull.note, 400) or name, MUTED)
    return [(Content(" ") + line).truncate(width, ellipsis=True) for line in (first, second)]


class PullDetail(LinesView):
    """The pane: in full, or in two lines with the class ``-short``."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {MUTED.removeprefix(".")}
    DEFAULT_CSS = """
    PullDetail {
        padding: 0 1;
        & > .detail--muted { color: $text-muted; }
        &:ansi > .detail--muted { text-style: dim; }
    }
    PullDetail.-short { height: 2; padding: 0; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._pull: PullProgress | None = None
        self._now = 0.0
        self._instead: Sequence[Content] = ()

    def show(self, pull: PullProgress | None, now: float, instead: Sequence[Content] = ()) -> None:
        """Show a pull or, where there is none, the lines ``instead``."""
        if (pull, now, instead) != (self._pull, self._now, self._instead):
            self._pull, self._now, self._instead = pull, now, instead
            self.lines_changed()

    def lay_out(self, width: int) -> Sequence[Content]:
        """The lines of the full or the short form."""
        short, pull = self.has_class("-short"), self._pull
        if pull is None:
            return [Content(" ") + line for line in self._instead[:2]] if short else self._instead
        if short:
            return short_lines(pull, self._now, width)
        return closed_up(pull_lines(pull, self._now, width), self.size.height)

    def on_resize(self) -> None:
        """Another height has room for other lines."""
        self.lines_changed()
