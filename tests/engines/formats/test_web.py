"""Where requests go, who sees the token, and how long servers are waited for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.errors import FormatError, SettingsError
from modeldeck.engines.formats.gguf import read_gguf
from modeldeck.engines.formats.http_source import HttpSource
from modeldeck.engines.formats.web import Login, Patience, Web, redirect, web_of
from modeldeck.engines.formats.web_document import Document, document
from modeldeck.engines.formats.web_errors import Unreachable, origin
from tests.support import misbehaviour as bad
from tests.support.file_server import Behaviour, FileServer, Request, etag, serving, well

TOKEN = "hf_a_secret_of_mine"


def sends_to(base: str) -> Behaviour:
    async def behave(request: Request) -> None:
        headers = {"Location": f"{base}{request.path}", "X-Linked-Etag": '"digest"'}
        await request.answer(302, headers)

    return behave


def test_the_token_stays_with_its_server() -> None:
    with (
        serving({"/m": bytes(50_000)}) as storage,
        serving({}, sends_to(storage.url)) as hub,
        web_of(Login(origin(hub.url), TOKEN)) as web,
        HttpSource(web, f"{hub.url}/m") as source,
    ):
        assert len(source.read_at(0, 20_000)) == 20_000
        assert source.validator == '"digest"'
        assert [request.headers.get("Authorization") for request in hub.seen] == [f"Bearer {TOKEN}"]
        assert len(storage.seen) > 1
        assert not any("Authorization" in request.headers for request in storage.seen)


def test_the_token_is_in_no_error_and_no_representation() -> None:
    with serving({}, bad.answers(403)) as hub:
        login = Login(origin(hub.url), TOKEN)
        with web_of(login) as web, pytest.raises(FormatError) as caught:
            HttpSource(web, f"{hub.url}/m")
    assert TOKEN not in repr(login) + repr(caught.value) + str(caught.value)


def test_an_address_that_ran_out_is_asked_for_again() -> None:
    async def signs(request: Request) -> None:
        path, _, signature = request.path.partition("?")
        if not signature:
            await request.answer(302, {"Location": f"{path}?signed={request.number}"})
        elif request.number - int(signature.removeprefix("signed=")) > 2:
            await request.answer(403, {})
        else:
            await well(request)

    with (
        serving({"/m": bytes(range(256)) * 400}, signs) as server,
        web_of(sleep=_no_wait) as web,
        HttpSource(web, f"{server.url}/m") as source,
    ):
        pieces = [source.read_at(at, 8_000) for at in range(0, 80_000, 8_000)]
    assert b"".join(pieces) == (bytes(range(256)) * 400)[:80_000]
    asked_again = [request for request in server.seen if "?" not in request.path]
    assert len(asked_again) > 2


@pytest.mark.parametrize(
    ("url", "status", "location", "target"),
    [
        ("https://a/x", 200, "https://b/y", None),
        ("https://a/x", 302, "", None),
        ("https://a/x", 302, "/y", "https://a/y"),
        ("https://a/x/z", 307, "y", "https://a/x/y"),
        ("http://a/x", 308, "https://b/y", "https://b/y"),
        ("http://a/x", 301, "//b/y", "http://b/y"),
    ],
)
def test_where_a_redirect_leads(url: str, status: int, location: str, target: str | None) -> None:
    assert redirect(url, status, location) == target


@pytest.mark.parametrize(
    ("location", "cause"),
    [
        ("http://a/x", "without encryption"),
        ("file:///etc/passwd", "no web address"),
        ("ftp://a/x", "no web address"),
        ("https://a:99999/x", "no web address"),
        ("http://[a/x", "no web address"),
    ],
)
def test_where_none_may_lead(location: str, cause: str) -> None:
    with pytest.raises(FormatError, match=cause):
        redirect("https://a/x", 302, location)


@pytest.mark.parametrize("url", ["https://", "nonsense", "https://a:b/", "http://[/", "ssh://a/x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with web_of() as web, pytest.raises(FormatError, match="no such web address"):
        HttpSource(web, url)


@pytest.mark.parametrize(
    ("behave", "pauses"),
    [
        (bad.busy(2), [1.0, 2.0]),
        (bad.busy(1, retry_after=7), [7.0]),
        (bad.busy(1, retry_after=0), [1.0]),
        (bad.busy(1, retry_after="Mon, 01 Jan 2024 00:00:00 GMT", status=429), [1.0]),
        (bad.busy(1, retry_after="when it is quiet"), [1.0]),
    ],
)
def test_a_busy_server_is_given_the_time_it_asks_for(
    behave: Behaviour, pauses: list[float]
) -> None:
    waited: list[float] = []
    patience = Patience(pause_seconds=1.0)
    with serving({"/d": b"{}"}, behave) as server, web_of(None, patience, waited.append) as web:
        assert document(web, f"{server.url}/d") == Document(b"{}", etag(b"{}"))
    assert waited == pauses


@pytest.mark.parametrize("retry_after", [31, 86_400, 10**30])
def test_one_that_asks_for_too_much_is_left_alone(retry_after: int) -> None:
    waited: list[float] = []
    with serving({}, bad.busy(9, retry_after)) as server, web_of(sleep=waited.append) as web:
        with pytest.raises(Unreachable, match="seconds of patience"):
            document(web, f"{server.url}/d")
        assert len(server.seen) == 1
    assert waited == []


def test_a_document_has_an_end() -> None:
    with serving({"/d": bytes(1 << 21)}) as server, web_of() as web:
        with pytest.raises(FormatError, match="more than the 1 MiB"):
            document(web, f"{server.url}/d", most_bytes=1 << 20)
        assert server.sent_bytes <= 1 << 21
        server.behave = bad.pours_for_ever
        with pytest.raises(FormatError, match="more than the 1 MiB"):
            document(web, f"{server.url}/d", most_bytes=1 << 20)


def _no_wait(_: float) -> None:
    """Waits for nothing."""


HEADS = [
    b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-4095/9000\r\nContent-Length: 4096\r\n\r\n",
    b'HTTP/1.1 200 OK\r\nETag: "\xff\xfe"\r\nContent-Length: 30\r\n\r\n{}',
    b"HTTP/1.1 302 Found\r\nLocation: http://\xe4\xf6/\xff?\x01\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 206 X\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes 0-9/10\r\n\r\nA\r\nGGUF",
    b"HTTP/1.1 503 X\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 401 X\r\nX-Error-Code: \x1b[31m\r\nSet-Cookie: a=b; expires=never\r\n\r\n",
    b"HTTP/1.1 302 X\r\nSet-Cookie: a=\x81\xff\r\nLocation: /m\r\nContent-Length: 0\r\n\r\n",
]


def test_no_cookie_is_taken() -> None:
    async def bakes(request: Request) -> None:
        await request.answer(200, {"Set-Cookie": "a=\x81; path=/"}, b"{}")

    with serving({}, bakes) as server, web_of() as web:
        assert document(web, f"{server.url}/1") == document(web, f"{server.url}/2")
    assert not any("Cookie" in request.headers for request in server.seen)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """What a server might say: something like an answer, damaged; or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    answer = bytearray(draw(st.sampled_from(HEADS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(answer)))
        cut = draw(st.integers(0, 8))
        answer[at : at + cut] = draw(st.binary(max_size=8))
    return bytes(answer)


@pytest.fixture(scope="module")
def line() -> Generator[tuple[FileServer, Web]]:
    """A server, and who asks it."""
    patience = Patience(step_seconds=0.2, request_seconds=0.4, tries=2)
    with serving({}) as server, web_of(patience=patience, sleep=_no_wait) as web:
        yield server, web


@given(answer=answers())
def test_no_answer_is_more_than_an_error(line: tuple[FileServer, Web], answer: bytes) -> None:
    server, web = line
    server.behave = bad.says(answer)
    with suppress(FormatError), HttpSource(web, f"{server.url}/m") as source:
        read_gguf(source)
    with suppress(FormatError):
        document(web, f"{server.url}/d", etag='"1"')


@pytest.mark.parametrize(
    ("name", "value"),
    [("HTTPS_PROXY", "ftp://x"), ("ALL_PROXY", "nonsense://"), ("SSL_CERT_FILE", "/not/there")],
)
def test_a_proxy_that_is_none_is_said(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="HTTPS_PROXY"), web_of():
        pass
