"""``modeldeck ls --disk``: what the models take on the disk, by store and by model."""

from __future__ import annotations

import argparse
import contextlib
import shutil
from collections.abc import Sequence

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.house.stock import Stock, take_stock, with_files
from modeldeck.engines.house.trash import bins, trashes
from modeldeck.engines.house.turns import home_trash
from modeldeck.engines.house.usage import DiskUse, Usage, disk_use
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Source
from modeldeck.engines.units import file_size
from modeldeck.tui.printing import complain, emit, note, output_columns, say, table
from modeldeck.tui.services import Services


def run_disk(services: Services, places: Sequence[Place], options: argparse.Namespace) -> int:
    """Run the command. Returns exit code 0."""
    found = services.scan_all().models
    models = [model for model in found if model.source is not Source.DEMO]
    stock = take_stock(places)
    stock = with_files(stock, [file for model in models for file in model.files])
    use = disk_use(models, stock)
    trash = sum(one.freed_bytes for one in bins(trashes(places, home_trash())))
    if options.json:
        emit(_record(use, stock, trash))
    else:
        _show(use, trash)
    for folder in stock.unreadable:
        complain(f"Not counted because it cannot be read: {clean_line(str(folder))}.")
    return 0


def _record(use: DiskUse, stock: Stock, trash_bytes: int) -> dict[str, object]:
    return {
        "stores": [
            {
                "source": one.source.value,
                "path": str(one.path),
                **_usage_record(one.usage),
                "free_bytes": _free(place),
            }
            for one, place in zip(use.stores, stock.places, strict=True)
        ],
        "models": [
            {
                "name": one.model.name,
                "path": str(one.model.path),
                "source": one.model.source.value,
                **_usage_record(one.usage),
            }
            for one in use.models
        ],
        **_usage_record(use.whole),
        "trash_bytes": trash_bytes,
    }


def _usage_record(usage: Usage) -> dict[str, int]:
    return {
        "files": usage.files,
        "apparent_bytes": usage.apparent_bytes,
        "allocated_bytes": usage.allocated_bytes,
        "shared_bytes": usage.shared_bytes,
    }


def _free(place: Place) -> int | None:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(place.path).free
    return None


def _show(use: DiskUse, trash_bytes: int) -> None:
    rows = [("STORE", "ON DISK", "APPARENT", "SHARED", "FOLDER")]
    rows += [
        (one.source.value, *_sizes(one.usage), clean_line(str(one.path))) for one in use.stores
    ]
    rows.append(("all of it", *_sizes(use.whole), ""))
    say(table(rows, right=(1, 2, 3), columns=output_columns()))
    if use.models:
        say("")
        rows = [("MODEL", "ON DISK", "APPARENT", "SHARED", "STORES")]
        rows += [
            (
                " = ".join(one.model.names),
                *_sizes(one.usage),
                ", ".join(dict.fromkeys((one.model.source, *(s.source for s in one.model.also)))),
            )
            for one in use.models
        ]
        say(table(rows, right=(1, 2, 3), columns=output_columns()))
    if trash_bytes:
        note(f"in the trash: {file_size(trash_bytes)} (modeldeck rm --undo)")


def _sizes(usage: Usage) -> tuple[str, str, str]:
    shared = file_size(usage.shared_bytes) if usage.shared_bytes else ""
    return file_size(usage.allocated_bytes), file_size(usage.apparent_bytes), shared
