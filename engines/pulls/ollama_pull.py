"""Pulls through an Ollama that runs: it fetches, verifies and keeps the model itself.

``POST /api/pull`` answers with a JSON object on each line: ``status``, and for each layer its
``digest``, ``total`` and ``completed`` (Ollama's ``docs/api.md``). Ollama goes on with what it has
of a layer when it is asked again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from modeldeck.engines.errors import SettingsError
from modeldeck.engines.formats.web_errors import Unreachable
from modeldeck.engines.pulls.control import Control
from modeldeck.engines.pulls.errors import PullError, Stopped
from modeldeck.engines.pulls.pull import Report
from modeldeck.engines.pulls.types import FileProgress, PullState
from modeldeck.engines.text import clean_line

_ADDRESS: Final = "http://127.0.0.1:11434"
_MOST_LINE: Final = 1 << 20
_LARGEST: Final = 1 << 50
_QUIET_SECONDS: Final = 120.0
_TELL_SECONDS: Final = 0.1


def ollama_address(environ: Mapping[str, str]) -> str:
    """Where Ollama listens: ``OLLAMA_HOST`` as its own tools read it. Raises SettingsError."""
    said = environ.get("OLLAMA_HOST", "").strip().rstrip("/")
    if not said:
        return _ADDRESS
    scheme, found, rest = said.rpartition("://")
    host, colon, port = rest.rpartition(":")
    host, port = (host, port) if colon and port.isdecimal() else (rest, "11434")
    if found and scheme not in ("http", "https"):
        raise SettingsError(
            f"OLLAMA_HOST is no web address: “{clean_line(said, 80)}”.",
            "Set it to one like 127.0.0.1:11434, or unset it.",
        )
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"{scheme or 'http'}://{host}:{port}"


def ollama_answers(environ: Mapping[str, str]) -> bool:
    """Whether an Ollama runs. Blocks for a second at most. Raises SettingsError."""
    import httpx  # 60 ms

    try:
        answer = httpx.get(f"{ollama_address(environ)}/api/version", timeout=1.0)
        return answer.status_code == 200 and "version" in answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False


def ollama_pull(
    name: str, environ: Mapping[str, str], control: Control, told: Callable[[Report], None]
) -> tuple[str, ...]:
    """Have Ollama pull a model. Blocks.

    Args:
        name: with its tag.
        environ: ``OLLAMA_HOST`` counts.
        control: stops it; Ollama keeps what it has.
        told: is told how it comes along.

    Returns:
        The name under which Ollama has it.

    Raises:
        Stopped: it was stopped.
        Unreachable: Ollama does not run, or hangs up.
        PullError: Ollama refuses, and says why.
    """
    import httpx  # 60 ms

    address = ollama_address(environ)
    limits = httpx.Timeout(_QUIET_SECONDS, connect=5.0)
    layers: dict[str, FileProgress] = {}
    told_at = 0.0
    try:
        with (
            httpx.Client(timeout=limits, trust_env=False) as client,
            client.stream("POST", f"{address}/api/pull", json={"model": name}) as answer,
            control.ending(client.close),
        ):
            for line in answer.iter_lines():
                control.check()
                said = _said(line)
                status = clean_line(str(said.get("status", "")), 80)
                if "error" in said or answer.status_code >= 400:
                    raise PullError(
                        f"Ollama: {clean_line(str(said.get('error', status)), 160)}.",
                        "Look at the name of the model, and at Ollama's log.",
                    )
                if status == "success":
                    return (f"ollama:{name}",)
                _note_layer(layers, said)
                state = PullState.VERIFYING if "verifying" in status else PullState.RUNNING
                now = time.monotonic()
                if now - told_at >= _TELL_SECONDS:
                    told_at = now
                    told(Report(state, tuple(layers.values()), status))
    except (httpx.HTTPError, httpx.StreamError, RuntimeError) as error:
        if control.stopped:
            raise Stopped from error
        raise Unreachable(
            f"Ollama at {clean_line(address, 60)} does not answer"
            f" ({clean_line(str(error), 80) or type(error).__name__}).",
            "Start it with: ollama serve",
        ) from error
    raise Unreachable("Ollama hung up before the end.", "Try again: it goes on where it was.")


def _said(line: str) -> Mapping[str, object]:
    try:
        said: Any = json.loads(line[:_MOST_LINE])
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", said) if isinstance(said, dict) else {}


def _note_layer(layers: dict[str, FileProgress], said: Mapping[str, object]) -> None:
    digest, total, done = said.get("digest"), said.get("total"), said.get("completed", 0)
    if not isinstance(digest, str) or not isinstance(total, int) or not isinstance(done, int):
        return
    name = clean_line(digest, 80)
    before = layers[name].done_bytes if name in layers else 0
    if 0 < total <= _LARGEST and len(layers) < 100:
        layers[name] = FileProgress(name, max(before, min(done, total)), total)
