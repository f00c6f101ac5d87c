"""Searches the Hugging Face Hub for models.

``/api/models?search=…&filter=…&sort=…&limit=…&expand[]=…`` is a list; its next part is at the
address that the header ``Link`` calls ``next`` (RFC 8288).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import urlencode

from modeldeck.engines.catalog.hub_query import parse_query
from modeldeck.engines.catalog.remote_memory import RemoteMemory
from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.web_errors import origin
from modeldeck.engines.text import clean_line

PAGE: Final = 50
SORTS: Final = {
    "trending": "trendingScore",
    "downloads": "downloads",
    "likes": "likes",
    "updated": "lastModified",
}
"""How the Hub sorts, and what it calls that."""
FORMATS: Final = ("gguf", "safetensors", "gptq", "awq", "exl2", "exl3", "mlx")
"""Tags of the Hub that say how weights are kept."""

_EXPANDED: Final = (
    "downloads",
    "likes",
    "lastModified",
    "tags",
    "gated",
    "pipeline_tag",
    "gguf",
    "safetensors",
)
_LARGEST: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class HubFound:
    """One repository that was found; what the Hub does not say is None or empty.

    Attributes:
        name: ``owner/name``.
        formats: of its weights, of ``FORMATS``.
        parameters: of the model.
        downloads: of the last 30 days.
        likes: of all time.
        updated: when it changed last, in seconds since 1970.
        task: as the Hub calls it.
        gated: it is given to those who accept its conditions.
    """

    name: str
    formats: tuple[str, ...]
    parameters: int | None
    downloads: int | None
    likes: int | None
    updated: float | None
    task: str
    gated: bool


@dataclass(frozen=True, slots=True)
class HubPage:
    """A part of an answer, and the address of the next; empty at the end."""

    found: tuple[HubFound, ...]
    next_url: str


def search_url(endpoint: str, text: str, kind: str, sort: str) -> str:
    """The address of the first part of an answer.

    Args:
        endpoint: of the Hub.
        text: to look for, as ``hub_query`` takes it apart; may be empty.
        kind: of ``FORMATS``; empty for all.
        sort: of ``SORTS``.

    Raises:
        ModelNotFound: the text makes no sense.
    """
    query = parse_query(text)
    asked = [("sort", SORTS[sort]), ("direction", "-1"), ("limit", str(PAGE))]
    for name, value in (
        ("search", query.text),
        ("author", query.author),
        ("pipeline_tag", query.task),
        ("num_parameters", _range(query.least_parameters, query.most_parameters)),
    ):
        if value:
            asked.append((name, value))
    if kind:
        asked.append(("filter", kind))
    asked += [("expand[]", name) for name in _EXPANDED]
    return f"{endpoint}/api/models?{urlencode(asked)}"


def _range(least: int, most: int) -> str:
    """As the Hub takes it: ``min:7000000000,max:14000000000``; empty for any."""
    bounds = (("min", least), ("max", most))
    return ",".join(f"{name}:{count}" for name, count in bounds if count)


def search_hub(memory: RemoteMemory, url: str) -> HubPage:
    """The part of an answer that is at ``url``.

    Raises:
        Unreachable: the Hub does not answer, and did not answer this before.
        FormatError: it refuses, or says nonsense.
    """
    data, next_url = memory.page(url)
    if next_url and not _same_server(next_url, url):
        next_url = ""
    return HubPage(read_found(data), next_url)


def read_found(data: bytes) -> tuple[HubFound, ...]:
    """What the Hub lists; entries that make no sense are left out. Raises FormatError."""
    try:
        whole: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _nonsense() from error
    if not isinstance(whole, list):
        raise _nonsense()
    entries = cast("list[object]", whole)
    return tuple(one for entry in entries if (one := _found(entry)) is not None)


def _found(entry: object) -> HubFound | None:
    table = _table(entry)
    name = table.get("id") or table.get("modelId")
    if not isinstance(name, str) or name.count("/") != 1 or clean_line(name, 200) != name:
        return None
    listed = table.get("tags")
    tags = (
        {str(one) for one in cast("list[object]", listed)}
        if isinstance(listed, list)
        else set[str]()
    )
    task = table.get("pipeline_tag")
    sized = _table(table.get("gguf")), _table(table.get("safetensors"))
    return HubFound(
        name,
        tuple(one for one in FORMATS if one in tags),
        next((number for one in sized if (number := _number(one.get("total")))), None),
        _number(table.get("downloads")),
        _number(table.get("likes")),
        _seconds(table.get("lastModified")),
        clean_line(task, 60) if isinstance(task, str) else "",
        bool(table.get("gated")),
    )


def _number(value: object) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST
    return value if known and isinstance(value, int) else None


def _seconds(value: object) -> float | None:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _table(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _same_server(one: str, other: str) -> bool:
    try:
        return origin(one) == origin(other)
    except FormatError:
        return False


def _nonsense() -> FormatError:
    return FormatError("What the Hub found is not sound.", "Try again later.")
