"""``modeldeck import``: give a GGUF to Ollama without a copy of its bytes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.resolve import resolve
from modeldeck.engines.house.deduping import digests_path
from modeldeck.engines.house.importing import (
    How,
    Import,
    Imported,
    carry_out_import,
    name_for,
    plan_import,
)
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.digests import SCHEMA, Digests
from modeldeck.engines.text import clean_line
from modeldeck.engines.units import file_size
from modeldeck.tui.printing import emit, note, say
from modeldeck.tui.services import Services

_HOW = {
    How.THERE: "Ollama has these bytes already",
    How.REFLINK: "its blob shares the blocks of the file",
    How.HARD_LINK: "its blob is a hard link of the file: what changes one changes both",
    How.COPY: "its blob is a copy",
}


def run_import(services: Services, places: Sequence[Place], options: argparse.Namespace) -> int:
    """Run the command. Returns the exit code. Raises ModeldeckError."""
    model = resolve(services.scan_all().models, options.model, services.headers)
    plan = plan_import(model, options.name or name_for(model), places)
    done: Imported | None = None
    if not options.dry_run:
        database = Database.open(digests_path(), (SCHEMA,))
        try:
            done = carry_out_import(plan, Digests(database), os.environ, may_copy=options.copy)
        finally:
            database.close()
    if options.json:
        return emit(import_record(plan, done))
    for remark in plan.remarks:
        note(remark)
    if done is None:
        way = "by a copy (--copy)" if plan.copies else "without a copy"
        say(f"Would give {file_size(plan.size_bytes)} to Ollama as {plan.name}, {way}.")
        return 0
    say(f"Ollama has {plan.name} now; {_HOW[done.how['model']]}.")
    note(f"next: ollama run {plan.name}")
    return 0


def import_record(plan: Import, done: Imported | None) -> dict[str, object]:
    """The stable keys of ``import --json``."""
    return {
        "name": plan.name,
        "store": str(plan.store) if plan.store else None,
        "files": [
            {
                "kind": kind,
                "path": str(path),
                "digest": f"sha256:{done.digests[kind]}" if done else None,
                "how": done.how[kind].value if done else None,
            }
            for kind, path in plan.files.items()
        ],
        "size_bytes": plan.size_bytes,
        "needs_copy": plan.copies,
        "remarks": [clean_line(remark) for remark in plan.remarks],
        "done": done is not None,
        "by_ollama": done.by_ollama if done else None,
    }
