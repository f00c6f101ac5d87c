"""Where Ollama listens, by the environment, as Ollama itself reads it (``envconfig/config.go``)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

_PORT: Final = 11434


def address_of(environ: Mapping[str, str]) -> str:
    """The address in ``OLLAMA_HOST``; this machine where it names none."""
    text = environ.get("OLLAMA_HOST", "").strip().strip("\"'")
    scheme, _, rest = text.rpartition("://")
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    default = {"http": 80, "https": 443}.get(scheme, _PORT)
    name = "127.0.0.1" if _is_any(host) else f"[{host}]" if ":" in host else host
    return f"{'https' if scheme == 'https' else 'http'}://{name}:{port or default}"


def _is_any(host: str) -> bool:
    """Whether a host means every address of this machine: nobody is asked there."""
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
