"""``modeldeck pulls``: the downloads, and what may be done with them."""

from __future__ import annotations

import argparse
import asyncio
import time

from modeldeck.engines.pulls.client import Pulls, PullsClient
from modeldeck.engines.pulls.types import PullState
from modeldeck.engines.pulls.wire import progress_record
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import file_size
from modeldeck.tui.printing import complain, emit, note, output_columns, say, table
from modeldeck.tui.pull_arguments import rate
from modeldeck.tui.pull_command import client_of
from modeldeck.tui.pull_text import bytes_text, percent, state_text
from modeldeck.tui.settings import Settings

_USAGE = 2


def run_pulls_command(settings: Settings, options: argparse.Namespace) -> int:
    """Run the command. Returns the exit code. Raises ModeldeckError."""
    if options.verb not in (None, "clear") and options.what is None:
        complain(f"pulls {options.verb}: which one?")
        note("next: modeldeck pulls lists them; limit takes a rate like 10MB, or 0")
        return _USAGE
    return asyncio.run(_pulls(client_of(settings), options))


async def _pulls(client: PullsClient, options: argparse.Namespace) -> int:
    if options.verb is not None:
        code = await _steer(client, options)
        if code:
            return code
    state = await client.list()
    if options.json:
        return emit([progress_record(pull) for pull in state.pulls])
    _show(state)
    return 0


async def _steer(client: PullsClient, options: argparse.Namespace) -> int:
    match options.verb:
        case "pause":
            await client.pause(options.what)
        case "resume" | "retry":
            await client.resume(options.what)
        case "cancel":
            await client.cancel(options.what)
        case "first":
            await client.first(options.what)
        case "clear":
            await client.clear()
        case _:
            try:
                await client.limit(rate(options.what) or None)
            except argparse.ArgumentTypeError as error:
                complain(str(error))
                return _USAGE
    return 0


def _show(state: Pulls) -> None:
    if not state.pulls:
        say("No downloads. Begin one with: modeldeck pull hf:owner/name")
        return
    now = time.time()
    rows = [["ID", "DONE", "BYTES", "STATE", "WHAT"]]
    for pull in state.pulls:
        share = percent(pull)
        figure = f"{share}%" if share is not None else "–"
        row = [pull.id, figure, bytes_text(pull), state_text(pull, now)]
        rows.append([*row, clean_line(pull.title)])
    say(table(rows, right=(1,), columns=output_columns()))
    for pull in state.pulls:
        if pull.state is PullState.FAILED:
            note(f"{pull.id}: {pull.problem} {pull.next_step}")
    if state.bytes_per_second:
        note(f"limit: {file_size(state.bytes_per_second)}/s over all")
