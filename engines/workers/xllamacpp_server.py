"""llama.cpp's own HTTP server from the prebuilt ``xllamacpp`` wheel, in a process of its own.

Run as a child: reads one line of JSON from standard input (the attributes to set on
``xllamacpp.CommonParams``, dotted for nested ones; enums and records by name), serves until
standard input closes. With ``--devices`` it prints build and devices as one line of JSON and ends.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

READY = "modeldeck: listening on "
FAILED = "modeldeck: the server did not start: "


def _set(target: Any, path: str, value: object) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        target = getattr(target, parent)
    setattr(target, name, value)


def _value(module: ModuleType, value: object) -> object:
    """``value`` as the library takes it: enums and records are told by name."""
    if isinstance(value, list):
        return [_value(module, one) for one in cast("list[object]", value)]
    if not isinstance(value, Mapping):
        return value
    told = cast("Mapping[str, str]", value)
    if "enum" in told:
        return getattr(getattr(module, told["enum"]), told["name"])
    record = getattr(module, told["class"])()
    for name in told.keys() - {"class"}:
        setattr(record, name, told[name])
    return record


def _library() -> Any:
    return importlib.import_module("xllamacpp")  # no types; 50 ms, maps 60 MB of llama.cpp


def serve() -> int:
    """Serve one model until our parent closes standard input."""
    xllamacpp = _library()
    settings: Mapping[str, object] = json.loads(sys.stdin.readline())
    params = xllamacpp.CommonParams()
    for path, value in settings.items():
        _set(params, path, _value(xllamacpp, value))
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        print(f"{FAILED}{error}", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    print(f"{READY}{server.listening_address}", file=sys.stderr, flush=True)  # noqa: T201
    while sys.stdin.readline():
        pass
    os._exit(0)


def devices() -> int:
    """Print the wheel's build and the devices it can use."""
    xllamacpp = _library()
    found = [
        {
            "name": device["name"],
            "description": device["description"],
            "memory_total_bytes": device["memory_total"],
            "memory_free_bytes": device["memory_free"],
        }
        for device in xllamacpp.get_device_info()
    ]
    print(json.dumps({"build": xllamacpp.__version__, "devices": found}))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(devices() if "--devices" in sys.argv[1:] else serve())
