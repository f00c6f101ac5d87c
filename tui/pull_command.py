"""``modeldeck pull``: ask for downloads, and watch them until they are there."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from modeldeck.engines.catalog.targets import TargetKind, parse_target
from modeldeck.engines.pulls.client import Pulls, PullsClient
from modeldeck.engines.pulls.destinations import OLLAMA, destination_for
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.ollama_pull import ollama_answers
from modeldeck.engines.pulls.types import Destination, PullProgress, PullState
from modeldeck.engines.pulls.wire import progress_record
from modeldeck.engines.text import clean_line
from modeldeck.tui.printing import complain, emit, note, say
from modeldeck.tui.pull_text import bytes_text, percent, progress_line, state_text
from modeldeck.tui.settings import Settings

_LINE_SECONDS = 5.0


def run_pull_command(settings: Settings, options: argparse.Namespace) -> int:
    """Run the command. Returns the exit code: 1 when a download failed. Raises ModeldeckError."""
    return asyncio.run(_pull(settings, options))


def client_of(settings: Settings) -> PullsClient:
    """A client of this version, with the settings of the user."""
    from importlib.metadata import version  # 30 ms

    return PullsClient(version("modeldeck"), at_once=settings.pulls_at_once, night=settings.night)


def destination_of_target(text: str, wish: str, settings: Settings) -> Destination:
    """Where a target goes; asks whether an Ollama runs where it matters. Raises ModeldeckError."""
    target = parse_target(text)
    asks_ollama = target.kind is TargetKind.OLLAMA and wish in ("", OLLAMA)
    runs = asks_ollama and ollama_answers(os.environ)
    return destination_for(
        target, wish, settings.model_dirs, os.environ, Path.home(), ollama_runs=runs
    )


async def _pull(settings: Settings, options: argparse.Namespace) -> int:
    wishes = [(text, destination_of_target(text, options.to, settings)) for text in options.targets]
    shown = _Shown(sys.stderr.isatty())
    try:
        return await _ask(client_of(settings), wishes, shown, options)
    except asyncio.CancelledError:
        shown.end()
        note("It goes on in the background. See: modeldeck pulls")
        return 130


async def _ask(
    client: PullsClient,
    wishes: Sequence[tuple[str, Destination]],
    shown: _Shown,
    options: argparse.Namespace,
) -> int:
    if options.limit is not None:
        await client.limit(options.limit or None)
    ids = [
        await client.add(text, there, night=options.night, pickles=options.pickles)
        for text, there in wishes
    ]
    if options.wait is False:
        return _leave(await client.list(), ids, options)
    pulls = await _watch(client, ids, shown)
    shown.end()
    return _result(pulls, options)


async def _watch(
    client: PullsClient, ids: Sequence[str], shown: _Shown
) -> tuple[PullProgress, ...]:
    """Until all of them are over; a process that ends meanwhile is followed by the next one."""
    while True:
        async for state in client.watch():
            mine = _mine(state, ids)
            shown.show(mine)
            if all(pull.state.is_final for pull in mine):
                return mine


def _mine(state: Pulls, ids: Sequence[str]) -> tuple[PullProgress, ...]:
    found = {pull.id: pull for pull in state.pulls}
    missing = [pull_id for pull_id in dict.fromkeys(ids) if pull_id not in found]
    if missing:
        raise PullError("The download was cleared meanwhile.", "See: modeldeck ls")
    return tuple(found[pull_id] for pull_id in dict.fromkeys(ids))


def _leave(state: Pulls, ids: Sequence[str], options: argparse.Namespace) -> int:
    pulls = _mine(state, ids)
    if options.json:
        return emit([progress_record(pull) for pull in pulls])
    for pull in pulls:
        say(f"{pull.id}  {clean_line(pull.title)}")
    note("It goes on in the background. See: modeldeck pulls")
    return 0


def _result(pulls: Sequence[PullProgress], options: argparse.Namespace) -> int:
    if options.json:
        emit([progress_record(pull) for pull in pulls])
    for pull in pulls:
        if pull.state is PullState.DONE and not options.json:
            for path in pull.placed:
                say(clean_line(path))
        elif pull.state is PullState.FAILED:
            complain(f"{pull.title}: {pull.problem}")
            note(f"next: {pull.next_step}")
        elif pull.state is PullState.CANCELLED:
            complain(f"{pull.title}: cancelled")
    return 0 if all(pull.state is PullState.DONE for pull in pulls) else 1


class _Shown:
    """Progress on standard error: bars that are drawn over, or a line now and then."""

    def __init__(self, on_terminal: bool) -> None:
        self._on_terminal = on_terminal
        self._lines = 0
        self._said: dict[str, tuple[float, PullState]] = {}

    def show(self, pulls: Sequence[PullProgress]) -> None:
        """How far they are now."""
        if self._on_terminal:
            self._draw(pulls)
        else:
            for pull in pulls:
                self._say(pull)

    def end(self) -> None:
        """Nothing more is shown."""
        sys.stderr.flush()

    def _draw(self, pulls: Sequence[PullProgress]) -> None:
        import shutil  # 4 ms

        columns = shutil.get_terminal_size().columns
        lines = [progress_line(pull, columns, time.time()) for pull in pulls]
        up = f"\x1b[{self._lines}F" if self._lines else ""
        sys.stderr.write(up + "".join(f"{line}\x1b[K\n" for line in lines))
        sys.stderr.flush()
        self._lines = len(lines)

    def _say(self, pull: PullProgress) -> None:
        now = time.monotonic()
        at, state = self._said.get(pull.id, (0.0, None))
        if pull.state is state and now - at < _LINE_SECONDS:
            return
        self._said[pull.id] = (now, pull.state)
        share = percent(pull)
        figure = f"{share}% " if share is not None else ""
        note(f"{pull.title}: {figure}{bytes_text(pull)} {state_text(pull, time.time())}")
