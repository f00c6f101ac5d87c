"""``modeldeck updates``: which models here have a newer version where they came from."""

from __future__ import annotations

import argparse
import os
import shlex
from collections import Counter
from collections.abc import Sequence

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.receipts import receipts_folder, receipts_in
from modeldeck.engines.house.stock import take_stock
from modeldeck.engines.house.updates import Local, State, Update, ask_all, here
from modeldeck.engines.text import clean_line
from modeldeck.tui.printing import complain, emit, note, output_columns, say, table

_SHORT = 12
_NAMED = 3


def run_updates(places: Sequence[Place], options: argparse.Namespace) -> int:
    """Run the command. Returns 1 when no server could be reached, else 0. Raises ModeldeckError."""
    updates = ask_all(here(take_stock(places), receipts_in(receipts_folder())), os.environ)
    offline = bool(updates) and all(update.unreachable for update in updates)
    if options.json:
        emit([update_record(update) for update in updates])
    else:
        _show(updates)
    if offline:
        complain("No server can be reached: nothing is known of newer versions.")
        note(f"next: {clean_line(updates[0].note)} Try again when there is a connection.")
    return int(offline)


def update_record(update: Update) -> dict[str, object]:
    """The stable keys of ``updates --json``."""
    return {
        "name": update.local.name,
        "source": update.local.source,
        "state": update.state.value,
        "here": update.local.version,
        "there": update.version or None,
        "changed": list(update.changed),
        "note": update.note,
        "command": _command(update.local) if _is_to_pull(update) else None,
    }


def _command(local: Local) -> str:
    into = ["--to", local.folder] if local.folder else []
    return shlex.join(["modeldeck", "pull", local.target, *into])


def _is_to_pull(update: Update) -> bool:
    return update.state is State.NEWER


def _show(updates: Sequence[Update]) -> None:
    if not updates:
        say("No model here came from the Hugging Face Hub or from Ollama's registry.")
        return
    rows = [("MODEL", "STATE", "HERE", "THERE", "CHANGED")]
    for update in updates:
        more = f" and {len(update.changed) - _NAMED} more" if len(update.changed) > _NAMED else ""
        rows.append(
            (
                clean_line(update.local.name),
                update.state.value,
                update.local.version[:_SHORT],
                update.version[:_SHORT],
                f"{', '.join(update.changed[:_NAMED])}{more}" or clean_line(update.note),
            )
        )
    say(table(rows, columns=output_columns()))
    for update in updates:
        if _is_to_pull(update):
            note(f"next: {clean_line(_command(update.local))}")
    states = Counter(update.state for update in updates)
    if states[State.CURRENT] == len(updates):
        say("All are current.")
