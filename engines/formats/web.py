"""Requests to servers that are believed in nothing: bounded in time, redirects and what they get.

A redirect is followed by hand: at most five, never from https to http, and the user's token stays
with the server it is for. A request that takes longer than it may is hung up on, however many bytes
trickle in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from modeldeck.engines.errors import FormatError, SettingsError
from modeldeck.engines.formats.attention import Attention
from modeldeck.engines.formats.web_errors import (
    Unreachable,
    broken,
    host,
    origin,
    refuse_failure,
    unreachable,
)
from modeldeck.engines.formats.web_watch import Watch
from modeldeck.engines.text import clean_line

if TYPE_CHECKING:
    import httpx

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        connect_seconds: for a connection to one address.
        step_seconds: for the next byte.
        request_seconds: for a request, on top of what its bytes take.
        bytes_per_second: the slowest a body may come.
        whole_seconds: for everything that one target needs.
        tries: requests in a row that bring nothing, until giving up.
        pause_seconds: before the second of them; doubled before each further one.
        longest_pause_seconds: the most that a server may ask for.
    """

    connect_seconds: float = 6.0
    step_seconds: float = 15.0
    request_seconds: float = 30.0
    bytes_per_second: int = 16 << 10
    whole_seconds: float = 300.0
    tries: int = 4
    pause_seconds: float = 0.5
    longest_pause_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Login:
    """A token, and the only server that may see it.

    Attributes:
        origin: scheme, host and port.
        token: never shown; ``repr`` leaves it out.
    """

    origin: tuple[str, str, int]
    token: str

    def __repr__(self) -> str:
        return f"Login({self.origin[1]})"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, its body still to be taken.

    Attributes:
        url: that answered in the end.
        status: of HTTP.
        headers: of the last answer.
        linked: the headers of the answer that sent us on, of the first that told the file's state
            where there were several; empty without a redirect.
        pieces: of the body, as they come and as they are on the wire.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    linked: Mapping[str, str]
    pieces: Iterator[bytes]

    def refuse_failure(self) -> None:
        """Raise the error that an answer other than a success stands for."""
        refuse_failure(self.url, self.status, self.headers)


class Web:
    """A place to send requests from, for one target.

    Attributes:
        patience: with its servers.
        until: when it ends, by the monotonic clock.
        offline: nothing is sent.
        attention: of who waits for the answers.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        client: httpx.Client,
        patience: Patience,
        login: Login | None,
        attention: Attention,
        sleep: Callable[[float], None],
    ) -> None:
        self.patience = patience
        self.attention = attention
        self.sleep = sleep
        self.offline = False
        self.until = time.monotonic() + patience.whole_seconds
        self._client = client
        self._login = login
        self._watch = Watch()

    @contextmanager
    def request(
        self, url: str, headers: Mapping[str, str], *, method: str = "GET", body_bytes: int = 0
    ) -> Generator[Reply]:
        """Send one request, and others where it is redirected to.

        Args:
            url: where to.
            headers: besides those of every request.
            method: ``GET`` or ``HEAD``. A HEAD is not followed to another server once it is known
                what tells the file from a later one.
            body_bytes: of the answer that may be waited for.

        Raises:
            Unreachable: the server cannot be reached, hung up, or is too slow.
            FormatError: it redirects in circles, to where nobody should go, or with nonsense.
        """
        origin(url)
        if self.offline:
            raise unreachable(url, "HF_HUB_OFFLINE says so", at_once=False)
        if self._watch.ended:
            raise unreachable(url, "nobody waits for it any more", at_once=False)
        allowed = self.patience.request_seconds + body_bytes / self.patience.bytes_per_second
        allowed = min(allowed, self.until - time.monotonic())
        if allowed <= 0:
            raise unreachable(url, "it takes too long", at_once=False)
        with self._watch.at_most(allowed), self.told(url):
            linked: Mapping[str, str] = {}
            there = url
            for _ in range(_MOST_REDIRECTS + 1):
                with self._sent(method, there, headers) as answer:
                    location: str = answer.headers.get("Location", "")
                    target = redirect(there, answer.status_code, location)
                    leaves = target is not None and origin(target) != origin(there)
                    known = says_state(answer.headers)
                    if target is None or (method == "HEAD" and leaves and known):
                        got: Mapping[str, str] = answer.headers
                        yield Reply(there, answer.status_code, got, linked, answer.iter_raw())
                        return
                    linked = linked if says_state(linked) else answer.headers
                    there = target
        raise FormatError(
            f"{host(url)} redirects in circles.", "Give the address of the file itself."
        )

    def expect(self, body_bytes: int) -> None:
        """So many bytes more may be waited for in the request that is open."""
        left = self.until - time.monotonic()
        self._watch.longer(min(body_bytes / self.patience.bytes_per_second, max(left, 0)))

    def hang_up(self) -> None:
        """Break off what is under way, from another thread."""
        self._watch.hang_up()

    def end(self) -> None:
        """Break off what is under way and send nothing more. From another thread."""
        self._watch.end()

    @contextmanager
    def _sent(self, method: str, url: str, headers: Mapping[str, str]) -> Generator[httpx.Response]:
        sent = {"User-Agent": "modeldeck", "Accept-Encoding": "identity", **headers}
        if self._login is not None and origin(url) == self._login.origin:
            sent["Authorization"] = f"Bearer {self._login.token}"
        with self._client.stream(
            method, url, headers=sent, extensions={"trace": self._watch.trace}
        ) as answer:
            yield answer

    @contextmanager
    def told(self, url: str) -> Generator[None]:
        """Turn what goes wrong on the way into an error that names the host."""
        import httpx

        try:
            yield
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            if self._watch.ended:
                raise unreachable(url, "nobody waits for it any more", at_once=False) from error
            if self._watch.late:
                raise unreachable(url, "it takes too long", at_once=False) from error
            if isinstance(error, httpx.TimeoutException):
                gone = isinstance(error, httpx.ConnectTimeout)
                raise unreachable(url, "it does not answer in time", at_once=not gone) from error
            said = clean_line(str(error), 120).rstrip(".") or type(error).__name__
            if isinstance(error, httpx.ConnectError):
                raise unreachable(url, said, at_once=False) from error
            if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
                raise unreachable(url, said) from error
            raise broken(url, said) from error


class Tries:
    """Counts requests that brought nothing, and pauses between them."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._failed = self._all = 0

    def again(self, error: Unreachable, *, gained: bool) -> None:
        """Wait until the next request may be sent, or raise ``error`` when there should be none."""
        patience = self._web.patience
        self._failed = 1 if gained else self._failed + 1
        self._all += 1
        pause = patience.pause_seconds * 2 ** (self._failed - 1)
        if error.wait_seconds is not None:
            pause = max(pause, error.wait_seconds)
        spent = (
            not error.at_once or self._failed >= patience.tries or self._all >= 4 * patience.tries
        )
        late = time.monotonic() + pause >= self._web.until
        if spent or late or pause > patience.longest_pause_seconds:
            raise error
        if error.wait_seconds is not None:
            self._web.attention.asked_to_wait(pause)
        self._web.sleep(pause)


@contextmanager
def web_of(
    login: Login | None = None,
    patience: Patience | None = None,
    sleep: Callable[[float], None] | None = None,
    attention: Attention | None = None,
) -> Generator[Web]:
    """A place to send requests from, until the block ends.

    Args:
        login: the token, and whose it is.
        patience: with the servers.
        sleep: waits between two tries; unset, until nobody waits any more.
        attention: of who waits for the answers.

    Raises:
        SettingsError: what the environment says of proxies or certificates makes no sense.
    """
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx  # 60 ms

    patience = patience or Patience()
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    connect_seconds = min(patience.step_seconds, patience.connect_seconds)
    limits = httpx.Timeout(patience.step_seconds, connect=connect_seconds)
    try:
        client = httpx.Client(timeout=limits, cookies=no_cookies)
    except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
        raise SettingsError(
            "The proxy or the certificates that the environment names cannot be used:"
            f" {clean_line(str(error), 120).rstrip('.')}.",
            "Look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE.",
        ) from error
    attention = attention or Attention()
    web = Web(client, patience, login, attention, sleep or attention.sleep)
    with client, attention.ending(web.end):
        yield web


def says_state(headers: Mapping[str, str]) -> bool:
    """Whether an answer tells the file from a later one by its etag."""
    return bool(headers.get("X-Linked-Etag") or headers.get("ETag"))


def redirect(url: str, status: int, location: str) -> str | None:
    """Where an answer from ``url`` sends us; None when it is the last one. Raises FormatError."""
    if status not in _REDIRECTS or not location:
        return None
    try:
        target = urljoin(url, location)
        scheme, _, _ = origin(target)
    except (ValueError, FormatError) as error:
        raise broken(url, "it redirects to what is no web address") from error
    if scheme == "http" and origin(url)[0] == "https":
        raise broken(url, "it redirects to an address without encryption")
    return target
