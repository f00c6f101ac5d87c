"""A shape as text and bytes, to be kept from one start to the next.

Reading it takes a tenth of the time that making it takes.
"""

from __future__ import annotations

import json
import struct
from itertools import accumulate, chain, pairwise
from typing import Any, Final, NamedTuple

from modeldeck.engines.fit.shape import Phase, Shape, Unjudged

TABLES: Final = (
    "blocks_gpu_bytes",
    "blocks_host_bytes",
    "kv_elements",
    "sliding_elements",
    "unflashed_elements",
    "unflashed_sliding_elements",
    "state_bytes",
    "experts_gpu_bytes",
    "experts_host_bytes",
)
"""The fields with a number for each count of blocks, 0 included."""

_LISTS: Final = ("phases", "head_sizes")
_ASKED_FOR: Final = ("beside",)
_PLAIN: Final = tuple(name for name in Shape._fields if name not in (*TABLES, *_LISTS, *_ASKED_FOR))


class Written(NamedTuple):
    """A shape to be kept: JSON, and the tables as 64-bit numbers, low byte first."""

    text: str
    tables: bytes


def encode(shape: Shape | Unjudged) -> Written:
    """A shape as it is kept; of tables that are equal, the first is."""
    if isinstance(shape, Unjudged):
        return Written(json.dumps({"why": shape.why}), b"")
    fields = shape._asdict()
    tables = [fields[name] for name in TABLES]
    kinds = list(dict.fromkeys(tables))
    record = {
        "plain": [fields[name] for name in _PLAIN],
        "ends": list(accumulate(map(len, kinds), initial=0)),
        "tables": [kinds.index(table) for table in tables],
        "phases": shape.phases,
        "head_sizes": shape.head_sizes,
    }
    numbers = list(chain.from_iterable(kinds))
    return Written(
        json.dumps(record, separators=(",", ":")), struct.pack(f"<{len(numbers)}q", *numbers)
    )


def decode(written: Written) -> Shape | Unjudged:
    """What ``encode`` was given. Raises ValueError, LookupError, TypeError, struct.error."""
    record: Any = json.loads(written.text)
    if "why" in record:
        return Unjudged(record["why"])
    numbers = struct.unpack(f"<{record['ends'][-1]}q", written.tables)
    kinds: list[tuple[int, ...]] = [numbers[start:end] for start, end in pairwise(record["ends"])]
    fields = dict(zip(_PLAIN, record["plain"], strict=True))
    at: list[int] = record["tables"]
    fields |= zip(TABLES, map(kinds.__getitem__, at), strict=True)
    return Shape(
        **fields,
        phases=tuple([Phase(*phase) for phase in record["phases"]]),
        head_sizes=tuple([(key, value) for key, value in record["head_sizes"]]),
    )
