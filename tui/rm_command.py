"""``modeldeck rm``: delete models, say what else would break first, and bring them back."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.resolve import resolve
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.house.carrying_out import Removed
from modeldeck.engines.house.deleting import Named, bring_back, delete, plan
from modeldeck.engines.house.errors import HouseError
from modeldeck.engines.house.removal import Removal
from modeldeck.engines.house.trash import bins, trashes
from modeldeck.engines.house.turns import home_trash
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import file_size
from modeldeck.tui.printing import complain, emit, note, say
from modeldeck.tui.services import Services

_USAGE = 2


def run_rm(services: Services, places: Sequence[Place], options: argparse.Namespace) -> int:
    """Run the command. Returns the exit code. Raises ModeldeckError."""
    if options.undo:
        return _undo(places, options)
    if not options.models:
        complain("rm: no model is named")
        note("next: modeldeck rm MODEL, or modeldeck rm --undo")
        return _USAGE
    models = services.scan_all().models
    wanted = [Named(resolve(models, text, services.headers), text) for text in options.models]
    removal, stock = plan(wanted, models, places, os.environ)
    if not removal.names:
        raise ModelNotFound("None of its files may be deleted from here.", "See: modeldeck ls.")
    if not options.json:
        _show(removal)
    if not options.yes and not _agreed(removal, options):
        return _not_done(removal, options)
    for_good = options.for_good or not services.settings.trash_days
    done = delete(removal, stock, os.environ, time.time(), for_good=for_good)
    if options.json:
        return emit(removal_record(removal, done))
    size = file_size(done.freed_bytes)
    if done.trash:
        days = services.settings.trash_days
        say(f"In the trash for {days} days: {size}. Bring it back: modeldeck rm --undo")
    else:
        say(f"Deleted for good: {size}.")
    return 0


def removal_record(removal: Removal, done: Removed | None) -> dict[str, object]:
    """The stable keys of ``rm --json``."""
    return {
        "models": list(removal.titles),
        "files": [str(name.path) for name in removal.names],
        "freed_bytes": removal.freed_bytes,
        "staying_bytes": removal.staying_bytes,
        "remarks": list(removal.remarks),
        "done": done is not None,
        "trash": (done.trash or None) if done else None,
    }


def _show(removal: Removal) -> None:
    for name in removal.names:
        say(clean_line(str(name.path)))
    for remark in removal.remarks:
        note(remark)


def _agreed(removal: Removal, options: argparse.Namespace) -> bool:
    if options.json or not sys.stdin.isatty():
        return False
    where = " for good" if options.for_good else ""
    try:
        answer = input(f"{removal.question.removesuffix('?')}{where}? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def _not_done(removal: Removal, options: argparse.Namespace) -> int:
    if options.json:
        return emit(removal_record(removal, None))
    complain("Nothing was deleted.")
    if not sys.stdin.isatty():
        note("next: modeldeck rm --yes")
    return 1


def _undo(places: Sequence[Place], options: argparse.Namespace) -> int:
    """Bring back the newest removal, or those whose ids or models are named."""
    kept = bins(trashes(places, home_trash()))
    wanted = set(options.models) or {one.id for one in kept[:1]}
    chosen = [one for one in kept if wanted & {one.id, *one.titles}]
    missing = wanted - {text for one in chosen for text in (one.id, *one.titles)}
    if missing or not chosen:
        what = clean_line(", ".join(sorted(missing)), 200) or "anything"
        here = clean_line(", ".join(t for one in kept for t in one.titles), 300)
        raise HouseError(
            f"The trash does not hold {what}.",
            f"It holds: {here}." if here else "It is empty; what was deleted for good is gone.",
        )
    back = 0
    remarks: list[str] = []
    for one in chosen:
        try:
            count, found = bring_back(one)
        except OSError as error:
            raise HouseError(
                f"Not everything came back: {clean_line(error.strerror or str(error))}.",
                "Mend that and repeat it: modeldeck rm --undo.",
            ) from error
        back += count
        remarks += found
    titles = list(dict.fromkeys(title for one in chosen for title in one.titles))
    if options.json:
        emit({"models": titles, "files": back, "remarks": remarks})
    else:
        say(f"Back again: {', '.join(titles)} ({back} {'file' if back == 1 else 'files'}).")
        for remark in remarks:
            complain(remark)
    return 1 if remarks else 0
