"""``modeldeck dedupe``: find weights that are stored twice, let them share one file, part them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.deduping import look_for_twins
from modeldeck.engines.house.duplicates import Kept, Merge, Method, Replacement, Twins
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.house.journal import Journal
from modeldeck.engines.house.linking import Merged, merge
from modeldeck.engines.house.stock import Entry
from modeldeck.engines.house.turns import house_dir
from modeldeck.engines.house.unlinking import undo
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import file_size
from modeldeck.tui.printing import complain, emit, note, say

_LARGE_BYTES = 256 << 20


def run_dedupe(places: Sequence[Place], options: argparse.Namespace) -> int:
    """Run the command. Returns the exit code. Raises ModeldeckError."""
    journal = Journal(house_dir())
    if options.undo:
        return _undo(journal, options)
    plan = look_for_twins(places, Method(options.method) if options.method else None, _reading)
    done = merge(plan, journal, time.time(), _comparing) if options.apply else None
    if options.json:
        emit(merge_record(plan, done))
    else:
        _show(plan, done)
    return int(done is not None and bool(done.kept))


def _reading(entry: Entry) -> None:
    if entry.size_bytes >= _LARGE_BYTES and sys.stderr.isatty():
        note(f"reading {entry.path} ({file_size(entry.size_bytes)})")


def _comparing(one: Replacement) -> None:
    if one.entry.size_bytes >= _LARGE_BYTES and sys.stderr.isatty():
        note(f"comparing {one.path} ({file_size(one.entry.size_bytes)})")


def merge_record(plan: Merge, done: Merged | None) -> dict[str, object]:
    """The stable keys of ``dedupe --json``."""
    return {
        "duplicates": [_twins_record(twins) for twins in plan.twins],
        "saved_bytes": plan.saved_bytes if done is None else done.saved_bytes,
        "done": done is not None,
        "run": (done.run or None) if done else None,
        "problems": [_kept_record(one) for one in done.kept] if done else [],
    }


def _twins_record(twins: Twins) -> dict[str, object]:
    return {
        "sha256": twins.sha256,
        "size_bytes": twins.size_bytes,
        "keep": [str(path) for path in twins.keep],
        "replace": [
            {
                "path": str(one.path),
                "keep": str(one.keep),
                "method": one.method.value,
                "saved_bytes": one.saved_bytes,
            }
            for one in twins.replacements
        ],
        "stays": [_kept_record(one) for one in twins.kept],
    }


def _kept_record(one: Kept) -> dict[str, str]:
    return {"path": str(one.path), "reason": one.reason}


def _show(plan: Merge, done: Merged | None) -> None:
    for twins in plan.twins:
        copies = len(twins.keep) + len(twins.replacements)
        copies += len({kept.path for kept in twins.kept} - {*twins.keep})
        say(f"{copies} names of the same {file_size(twins.size_bytes)}")
        for path in twins.keep:
            say(f"  keep      {clean_line(str(path))}")
        for one in twins.replacements:
            say(f"  {one.method.value:<8}  {clean_line(str(one.path))}")
        for kept in twins.kept:
            if kept.path not in twins.keep:
                say(f"  stays     {clean_line(str(kept.path))}: {kept.reason}")
    if not plan.twins:
        say("Nothing is stored twice.")
    elif done is None:
        say(f"Saves {file_size(plan.saved_bytes)}.")
        if plan.replacements:
            note("next: modeldeck dedupe --apply")
    else:
        for kept in done.kept:
            complain(f"{clean_line(str(kept.path))} stays: {kept.reason}")
        again = " Take it back: modeldeck dedupe --undo" if done.run else ""
        say(f"Saved {file_size(done.saved_bytes)}.{again}")


def _undo(journal: Journal, options: argparse.Namespace) -> int:
    """Take back the newest run that was not taken back."""
    runs = [run for run in journal.runs() if not run.undone]
    if not runs:
        raise HouseError("There is nothing to take back.", "See: modeldeck dedupe.")
    done = undo(runs[0], journal)
    if options.json:
        return emit(
            {
                "run": runs[0].id,
                "files": [str(path) for path in done.paths],
                "remarks": list(done.remarks),
            }
        )
    for path in done.paths:
        say(clean_line(str(path)))
    for remark in done.remarks:
        note(remark)
    number = len(done.paths)
    say(f"{number} {'name has a file of its' if number == 1 else 'names have files of their'} own.")
    return 0
