"""The Hub place against a server that answers as the Hub does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from threading import Semaphore

import pytest

from modeldeck.engines.scripted import ScriptedEngine
from tests.support.decks import Deck, dense, open_deck
from tests.support.file_server import Request, serving, well
from tests.support.hub import repository

NAME = "owner/Small-3B-GGUF"


def listed(*names: str, **more: object) -> bytes:
    entry = {
        "downloads": 1234,
        "likes": 5,
        "lastModified": "2026-01-02T03:04:05.000Z",
        "tags": ["gguf", "text-generation", "license:mit"],
        "pipeline_tag": "text-generation",
        "gated": False,
        "gguf": {"total": 3_200_000_000},
    }
    return json.dumps([{"id": name, **entry, **more} for name in names]).encode()


@pytest.fixture
def hub_files(tmp_path: Path) -> dict[str, bytes]:
    """A repository of two quantisations and a model card; sparse files, whole headers."""
    model = dense(tmp_path, "Small-3B", blocks=4, embedding=512)
    content = model.read_bytes()
    files = {
        "Small-3B-Q4_K_M.gguf": content,
        "Small-3B-Q8_0.gguf": content,
        "README.md": b"---\nlicense: mit\n---\n# Small\n\nA **small** one.\x1b[31m\n",
    }
    return {
        **repository(NAME, files),
        "/api/models": listed(NAME, "other/Large-70B-GGUF", gated="manual"),
    }


async def open_hub(deck: Deck) -> None:
    await deck.rest()
    await deck.press("2")


async def test_from_the_search_to_a_verdict(
    fresh_home: Path, hub_files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(hub_files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        async with open_deck(fresh_home, ScriptedEngine()) as deck:
            await open_hub(deck)
            await deck.see(NAME)
            assert "3.2B" in deck.text
            assert "1.2k" in deck.text
            assert "gguf gated" in deck.text
            query = server.seen[0].path
            assert "filter=gguf" in query
            assert "sort=trendingScore" in query
            await deck.press("enter")
            await deck.see("best here")
            lines = [line for line in deck.text.splitlines() if "● fits" in line]
            assert any("Q4_K_M" in line for line in lines)
            assert any("Q8_0" in line for line in lines)
            ranged = [one for one in server.seen if "resolve" in one.path]
            assert all("Range" in one.headers for one in ranged), "headers alone"
            await deck.press("m")
            await deck.see("A small one.")
            await deck.press("escape")


async def test_without_the_hub_the_last_answers_stay(
    fresh_home: Path, hub_files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(hub_files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        async with open_deck(fresh_home, ScriptedEngine()) as deck:
            await open_hub(deck)
            await deck.see(NAME)
            await deck.press("enter")
            await deck.see("best here")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    async with open_deck(fresh_home, ScriptedEngine()) as deck:
        await open_hub(deck)
        await deck.see("offline: this is what it said")
        assert NAME in deck.text
        await deck.press("enter")
        await deck.see("offline: this is what it said")
        await deck.see("best here")
        await deck.press("escape", "s")
        await deck.see("✕")


async def test_a_wait_that_the_hub_asks_for_is_shown(
    fresh_home: Path, hub_files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(request: Request) -> None:
        if request.number == 1:
            await request.answer(429, {"Retry-After": "2"})
        else:
            await well(request)

    with serving(hub_files, busy) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        async with open_deck(fresh_home, ScriptedEngine()) as deck:
            await open_hub(deck)
            await deck.see("Hugging Face Hub asks to wait 2 s; it goes on by itself")
            await deck.see(NAME)
            assert "asks to wait" not in deck.text


async def test_a_header_that_trickles_is_hung_up_on_when_one_moves_on(
    fresh_home: Path, hub_files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    trickling, hung_up = Semaphore(0), Semaphore(0)

    async def slow(request: Request) -> None:
        if "/resolve/" not in request.path or request.method == "HEAD":
            await well(request)
            return
        await request.head(206, {"Content-Length": 4096, "Content-Range": "bytes 0-4095/9999999"})
        trickling.release()
        try:
            while True:
                await request.body(b"G")
                await asyncio.sleep(0.05)
        except OSError:
            hung_up.release()
            raise

    with serving(hub_files, slow) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        async with open_deck(fresh_home, ScriptedEngine()) as deck:
            await open_hub(deck)
            await deck.see(NAME)
            await deck.press("enter")
            for _ in range(2):
                assert await asyncio.to_thread(trickling.acquire, timeout=20)
            assert not hung_up.acquire(blocking=False)
            await deck.press("escape")
            for _ in range(2):
                assert await asyncio.to_thread(hung_up.acquire, timeout=10)


async def test_more_comes_from_where_the_hub_says(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def by_pages(request: Request) -> None:
        if "cursor=2" in request.path:
            await request.answer(200, {}, listed(*(f"b/second-{n}" for n in range(3))))
        else:
            here = f"{request.server.url}/api/models?cursor=2"
            link = {"Link": f'<{here}>; rel="next"'}
            await request.answer(200, link, listed(*(f"a/first-{n}" for n in range(40))))

    with serving({}, by_pages) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        async with open_deck(fresh_home, ScriptedEngine()) as deck:
            await open_hub(deck)
            await deck.see("40 repositories, more below")
            await deck.press("end")
            await deck.see("43 repositories")


async def test_a_next_page_on_another_server_is_not_asked_for(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def astray(request: Request) -> None:
        link = {"Link": '<http://127.0.0.1:9/api/models?cursor=2>; rel="next"'}
        await request.answer(200, link, listed("a/b"))

    with serving({}, astray) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        async with open_deck(fresh_home, ScriptedEngine()) as deck:
            await open_hub(deck)
            await deck.see("a/b")
            assert "more below" not in deck.text


async def test_what_is_gated_says_what_to_accept(
    fresh_home: Path, hub_files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gated(request: Request) -> None:
        if request.path.startswith(f"/api/models/{NAME}"):
            await request.answer(403, {"X-Error-Code": "GatedRepo"}, b"{}")
        else:
            await well(request)

    with serving(hub_files, gated) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        async with open_deck(fresh_home, ScriptedEngine()) as deck:
            await open_hub(deck)
            await deck.see(NAME)
            await deck.press("enter")
            await deck.see("is gated: it is given")
            assert f"{server.url}/{NAME}" in deck.text.replace("\n ", "")


async def test_ollamas_names_are_searched_and_any_other_is_taken_as_typed(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({"/api/models": listed("a/b")}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        async with open_deck(fresh_home, ScriptedEngine()) as deck:
            await open_hub(deck)
            await deck.see("a/b")
            await deck.press("o")
            await deck.see("llama3.3")
            await deck.press("slash")
            await deck.type("my/own:tag")
            await deck.press("enter")
            await deck.see("1 repository")
            assert "▌my/own" in deck.text
