"""What goes wrong between us and a server, each with what to do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from modeldeck.engines.errors import FormatError
from modeldeck.engines.text import clean_line

_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_PORTS: Final = {"http": 80, "https": 443}


class Unreachable(FormatError):
    """The server does not answer, or not now: the same request may succeed later.

    Attributes:
        wait_seconds: what the server asks for before the next request; None when it does not say.
        at_once: the request may be sent again within seconds.
    """

    def __init__(
        self,
        cause: str,
        next_step: str,
        wait_seconds: float | None = None,
        *,
        at_once: bool = True,
    ) -> None:
        super().__init__(cause, next_step)
        self.wait_seconds = wait_seconds
        self.at_once = at_once


class Refused(FormatError):
    """The server knows the question and gives no answer to it.

    Attributes:
        status: of HTTP.
        code: the Hub's own word for the reason (``X-Error-Code``); may be empty.
    """

    def __init__(self, cause: str, next_step: str, status: int, code: str) -> None:
        super().__init__(cause, next_step)
        self.status = status
        self.code = code


def refuse_failure(url: str, status: int, headers: Mapping[str, str]) -> None:
    """Raise the error that an answer other than a success stands for."""
    name = host(url)
    code = clean_line(headers.get("X-Error-Code", ""), 40)
    if status in (401, 403):
        raise Refused(
            f"{name} does not give this to everybody (HTTP {status}).",
            "For a model of the Hub write hf:owner/name and set HF_TOKEN; else download it first.",
            status,
            code,
        )
    if status in (404, 410):
        raise Refused(f"{name} has no such file.", "Look at the name again.", status, code)
    if status in _PASSING:
        wait = _retry_after(headers.get("Retry-After", ""))
        asks = "" if wait is None else f" and asks for {wait:,.0f} seconds of patience"
        raise Unreachable(
            f"{name} is busy: it answered with HTTP {status}{asks}.", "Try again later.", wait
        )
    if not 200 <= status < 300:
        raise FormatError(f"{name} answered with HTTP {status}.", "Try again later.")
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise broken(url, "it compresses what was asked for as it is")


def unreachable(url: str, what: str, *, at_once: bool = True) -> Unreachable:
    """The error for a server that may do better later, or at once."""
    return Unreachable(
        f"{host(url)} cannot be read from: {what}.",
        "Try again, or download the file first.",
        at_once=at_once,
    )


def broken(url: str, what: str) -> FormatError:
    """The error for a server that does what none should."""
    return FormatError(
        f"{host(url)} cannot be read from: {what}.", "Download the file, then judge it here."
    )


def host(url: str) -> str:
    """The server's name, for people."""
    with suppress(ValueError):
        return clean_line(urlsplit(url).hostname or "", 80) or "the server"
    return "the server"


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises FormatError."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise _no_address() from error
    scheme = split.scheme.lower()
    if scheme not in _PORTS or not split.hostname:
        raise _no_address()
    return scheme, split.hostname, port or _PORTS[scheme]


def _no_address() -> FormatError:
    return FormatError("There is no such web address.", "Write it like https://host/model.gguf.")


def _retry_after(text: str) -> float | None:
    """Seconds to wait (RFC 9110, 10.2.3), as a number or as a date."""
    if text.strip().isdecimal():
        return float(text.strip()[:9])
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    with suppress(ValueError, OverflowError, TypeError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None
