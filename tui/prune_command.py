"""``modeldeck prune``: what nothing needs, said first and removed when asked to."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.house.carrying_out import Removed, delete_for_good
from modeldeck.engines.house.in_use import holders_of
from modeldeck.engines.house.locked import locked_downloads
from modeldeck.engines.house.pruning import Live, Pruning, plan_pruning, summary
from modeldeck.engines.house.stock import take_stock
from modeldeck.engines.paths import data_dir, is_folder
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import file_size
from modeldeck.tui.printing import emit, note, say


def run_prune(places: Sequence[Place], options: argparse.Namespace) -> int:
    """Run the command. Returns the exit code. Raises ModeldeckError."""
    stock = take_stock(places)
    live = replace(live_pulls(), files=locked_downloads(stock))
    now = time.time()
    first = plan_pruning(stock, now, live=live)
    holders = holders_of((name.device, name.inode) for name in first.removal.names)
    plan = plan_pruning(stock, now, holders, live)
    done = delete_for_good(plan.removal) if options.apply else None
    if options.json:
        return emit(pruning_record(plan, done))
    for orphan in plan.orphans:
        size = file_size(orphan.allocated_bytes)
        say(f"{orphan.kind.value:<12} {size:>8}  {clean_line(str(orphan.path))}")
    for folder in plan.folders:
        say(f"{'folder':<12} {'':>8}  {clean_line(str(folder))}")
    for remark in plan.remarks:
        note(remark)
    say(f"{'Removed: ' if done else ''}{summary(plan)}")
    if done is None and (plan.orphans or plan.folders):
        note("next: modeldeck prune --apply")
    return 0


def live_pulls() -> Live:
    """What the queue of downloads still wants, also what failed and may be tried again.

    Raises:
        PullError: the queue cannot be read.
    """
    from modeldeck.engines.pulls.home import PullsHome
    from modeldeck.engines.pulls.types import Layout, PullState
    from modeldeck.engines.pulls.wire import queue_of

    if not is_folder(data_dir() / "pulls"):
        return Live()
    queue = PullsHome().queue
    items = queue_of(queue.read_text("utf-8")).items if queue.exists() else ()
    over = (PullState.DONE, PullState.CANCELLED)
    wanted = [item for item in items if item.state not in over]
    into_hub = [item for item in wanted if item.destination.layout is Layout.HUB_CACHE]
    return Live(
        frozenset(parse_target(item.target).name for item in into_hub),
        frozenset(
            Path(os.path.realpath(item.destination.folder))
            for item in wanted
            if item not in into_hub
        ),
    )


def pruning_record(plan: Pruning, done: Removed | None) -> dict[str, object]:
    """The stable keys of ``prune --json``."""
    return {
        "orphans": [
            {
                "path": str(orphan.path),
                "kind": orphan.kind.value,
                "allocated_bytes": orphan.allocated_bytes,
            }
            for orphan in plan.orphans
        ],
        "folders": [str(folder) for folder in plan.folders],
        "freed_bytes": plan.removal.freed_bytes,
        "remarks": list(plan.remarks),
        "done": done is not None,
    }
