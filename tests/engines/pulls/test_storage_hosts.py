"""Registries that keep their files at another host, behind addresses signed for a while."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.web_errors import Unreachable
from modeldeck.engines.pulls.control import Control
from modeldeck.engines.pulls.pull import run_pull
from modeldeck.engines.pulls.types import Destination, Layout
from modeldeck.engines.pulls.wanted import wanted
from modeldeck.engines.units import MIB
from tests.support.file_server import Behaviour, FileServer, Request, serving, well
from tests.support.hub import repository
from tests.support.pulls import COMMIT, CONTENT, HASTY, Told, on_hub, pulled

TOKEN = "hf_verysecret"


@contextmanager
def two_hosts(
    content: bytes, storage_behaves: Behaviour = well, signatures: int = 1000
) -> Generator[tuple[FileServer, FileServer]]:
    """A Hub and its storage; each address that the Hub gives has another signature.

    Args:
        content: of ``m.gguf`` in ``o/n``.
        storage_behaves: how the storage answers what is signed.
        signatures: requests that one signature is good for.
    """
    used: dict[str, int] = {}
    given = [0]

    async def storage(request: Request) -> None:
        path, _, signature = request.path.partition("?")
        used[signature] = used.get(signature, 0) + 1
        if used[signature] > signatures:
            await request.answer(403, {})
            return
        request.path = path
        await storage_behaves(request)

    with serving({}, storage) as there:

        async def hub(request: Request) -> None:
            kept = request.server.files.get(request.path, b"")
            if "/resolve/" not in request.path:
                await well(request)
                return
            given[0] += 1
            digest = hashlib.sha256(kept).hexdigest()
            there.files[f"/{digest}"] = kept
            await request.answer(
                302,
                {
                    "Location": f"{there.url}/{digest}?signature={given[0]}",
                    "X-Linked-Etag": f'"{digest}"',
                    "X-Linked-Size": len(kept),
                    "X-Repo-Commit": COMMIT,
                },
            )

        with serving(repository("o/n", {"m.gguf": content}, commit=COMMIT), hub) as server:
            yield server, there


def test_the_token_stays_with_the_hub_and_is_told_to_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with two_hosts(CONTENT) as (server, storage):
        environ = {"HF_ENDPOINT": server.url, "HF_TOKEN": TOKEN}
        want = wanted(parse_target("hf:o/n"), Destination(Layout.HUB_CACHE, tmp_path), environ)
        placed, told = pulled(want, environ)
        assert all(request.headers["Authorization"].endswith(TOKEN) for request in server.seen)
        assert storage.seen
        assert not any("Authorization" in request.headers for request in storage.seen)
    assert placed[0].read_bytes() == CONTENT
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN.encode() not in kept
    assert TOKEN not in f"{told}{want}{caplog.text}"


def test_an_address_that_runs_out_is_asked_for_again(tmp_path: Path) -> None:
    with two_hosts(CONTENT, signatures=2) as (server, storage):
        placed, _ = pulled(*on_hub(server, "hf:o/n", tmp_path))
        refused = [one for one in storage.seen if one.range and one.range != (0, 0)]
        assert len(refused) > 5
        assert storage.sent_bytes < len(CONTENT) + MIB
    assert placed[0].read_bytes() == CONTENT


def test_a_storage_that_has_another_file_now_says_so_by_sending_all_of_it(tmp_path: Path) -> None:
    """``If-Range``: the part is sent only while the etag is that of the first answer."""
    other = CONTENT[::-1]

    async def behave(request: Request) -> None:
        if request.number == 4:
            request.server.files[request.path] = other
        known = request.server.files[request.path]
        if request.headers.get("If-Range", f'"{_etag(known)}"') != f'"{_etag(known)}"':
            del request.headers["Range"]
        await _with_etag(request, _etag(known))

    with two_hosts(CONTENT, behave) as (server, storage):
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        asked: list[str] = []
        placed, told = pulled(want, environ)
        asked += [one.headers["If-Range"] for one in storage.seen if "If-Range" in one.headers]
    assert asked
    assert placed[0].read_bytes() == CONTENT
    assert "It is begun again." in told.notes[0]


def _etag(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


async def _with_etag(request: Request, etag: str) -> None:
    content = request.server.files[request.path]
    if request.range is None:
        await request.answer(200, {"ETag": f'"{etag}"'}, content)
        return
    first, last = request.range
    said = {"ETag": f'"{etag}"', "Content-Range": f"bytes {first}-{last}/{len(content)}"}
    await request.answer(206, said, content[first : last + 1])


@pytest.mark.parametrize("status", [500, 502, 429])
def test_a_storage_that_fails_now_and_then(tmp_path: Path, status: int) -> None:
    begun: list[int] = []

    async def behave(request: Request) -> None:
        first_byte = request.range[0] if request.range else 0
        if first_byte in begun:
            await well(request)
            return
        begun.append(first_byte)
        if len(begun) % 3 == 2:
            await request.answer(status, {"Retry-After": "0"})
        else:
            await well(request)

    with two_hosts(CONTENT, behave) as (server, _):
        placed, _ = pulled(*on_hub(server, "hf:o/n", tmp_path))
    assert len(begun) > 3
    assert placed[0].read_bytes() == CONTENT


def test_a_storage_that_is_down_keeps_what_came(tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        if request.range and request.range[0] >= 24 * MIB:
            request.hang_up()
        else:
            await well(request)

    with two_hosts(CONTENT, behave) as (server, storage):
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        told = Told()
        with pytest.raises(Unreachable) as caught:
            run_pull(want, environ, Control(), told.append, HASTY)
        assert "signature" not in str(caught.value)
        came = max(report.files[0].done_bytes for report in told)
        sent = storage.sent_bytes
        storage.behave = well_signed
        pulled(want, environ)
        assert 0 < came <= 24 * MIB
        assert storage.sent_bytes - sent <= len(CONTENT) - came


async def well_signed(request: Request) -> None:
    request.path = request.path.partition("?")[0]
    await well(request)


def test_a_redirect_in_circles(tmp_path: Path) -> None:
    async def circle(request: Request) -> None:
        if "/resolve/" in request.path:
            await request.answer(302, {"Location": request.path})
        else:
            await well(request)

    with serving(repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT), circle) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        with pytest.raises(FormatError, match="circles"):
            pulled(want, environ)


def test_a_storage_that_does_not_understand_conditions_is_asked_without(tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        if "If-Range" in request.headers:
            del request.headers["Range"]
        await well(request)

    with two_hosts(CONTENT, behave) as (server, storage):
        placed, told = pulled(*on_hub(server, "hf:o/n", tmp_path))
        assert any("If-Range" in request.headers for request in storage.seen)
    assert placed[0].read_bytes() == CONTENT
    assert not told.notes
