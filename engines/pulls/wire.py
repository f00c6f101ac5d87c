"""What a deck and the process that owns pulls say to each other: a JSON object on each line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.queue import Item, Night, Queue
from modeldeck.engines.pulls.types import (
    Destination,
    FileProgress,
    Layout,
    PullProgress,
    PullState,
)

MOST_BYTES: Final = 4 << 20
"""Of one line."""

Record = Mapping[str, object]


def line(record: Record) -> bytes:
    """A record as one line."""
    return json.dumps(record, ensure_ascii=True).encode() + b"\n"


def record_of(data: bytes) -> Record:
    """The record on a line. Raises PullError."""
    try:
        record: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise nonsense() from error
    if not isinstance(record, dict):
        raise nonsense()
    return cast("Record", record)


def nonsense() -> PullError:
    """The error for a line that says nothing."""
    return PullError("The downloads' process said something that makes no sense.", "Try again.")


def progress_record(progress: PullProgress) -> Record:
    """A pull as it is sent, and as ``modeldeck pulls --json`` prints it."""
    return {**asdict(progress), "state": progress.state.value}


def progress_of(record: object) -> PullProgress:
    """A pull that was sent. Raises PullError."""
    try:
        fields = dict(cast("dict[str, Any]", record))
        files = tuple(FileProgress(**file) for file in fields.pop("files"))
        placed = tuple(str(path) for path in fields.pop("placed"))
        state = PullState(fields.pop("state"))
        return PullProgress(state=state, files=files, placed=placed, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise nonsense() from error


def queue_text(queue: Queue) -> str:
    """A queue as it is kept."""
    return json.dumps(
        {
            "items": [
                {
                    **asdict(item),
                    "state": item.state.value,
                    "destination": destination_record(item.destination),
                }
                for item in queue.items
            ],
            "at_once": queue.at_once,
            "bytes_per_second": queue.bytes_per_second,
            "night": [queue.night.begins, queue.night.ends],
        }
    )


def queue_of(text: str) -> Queue:
    """A queue that was kept. Raises PullError."""
    try:
        fields: Any = json.loads(text)
        begins, ends = fields["night"]
        return Queue(
            items=tuple(_item(item) for item in fields["items"]),
            at_once=max(1, int(fields["at_once"])),
            bytes_per_second=fields["bytes_per_second"],
            night=Night(int(begins), int(ends)),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise nonsense() from error


def shown(
    item: Item,
    files: tuple[FileProgress, ...] = (),
    bytes_per_second: float | None = None,
    seconds_left: float | None = None,
) -> PullProgress:
    """A pull of the queue as it is told, with what only its run knows."""
    return PullProgress(
        id=item.id,
        target=item.target,
        title=item.title,
        state=item.state,
        priority=item.priority,
        files=files,
        done_bytes=item.done_bytes,
        total_bytes=item.total_bytes,
        bytes_per_second=bytes_per_second,
        seconds_left=seconds_left,
        note=item.note,
        problem=item.problem,
        next_step=item.next_step,
        retry_at=item.retry_at,
        asked_at=item.asked_at,
        ended_at=item.ended_at,
        placed=item.placed,
    )


def destination_record(destination: Destination) -> Record:
    """A destination as it is sent."""
    return {"layout": destination.layout.value, "folder": str(destination.folder)}


def destination_of(record: object) -> Destination:
    """A destination that was sent. Raises PullError."""
    try:
        fields = cast("dict[str, Any]", record)
        return Destination(Layout(fields["layout"]), Path(str(fields["folder"])))
    except (ValueError, TypeError, KeyError) as error:
        raise nonsense() from error


def _item(fields: dict[str, Any]) -> Item:
    known = dict(fields)
    destination = destination_of(known.pop("destination"))
    state, placed = PullState(known.pop("state")), tuple(known.pop("placed"))
    parts = tuple(known.pop("parts", ()))
    return Item(destination=destination, state=state, placed=placed, parts=parts, **known)
