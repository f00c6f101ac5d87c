"""From a search to a model in the list: a server like the Hub, the process that owns pulls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import pytest

from modeldeck.engines.pulls.client import PullsClient
from modeldeck.engines.scripted import ScriptedEngine
from tests.support.decks import dense, open_deck
from tests.support.file_server import Request, serving, well
from tests.support.hub import repository
from tests.support.pulls import COMMIT

NAME = "owner/Small-3B-GGUF"
FILE = "Small-3B-Q4_K_M.gguf"
STEP = 1 << 20


@pytest.fixture
async def no_owner_left() -> AsyncIterator[None]:
    """The process that owns pulls is ended after the test."""
    yield
    await PullsClient(version("modeldeck")).end()


async def test_a_variant_is_found_pulled_and_listed(
    fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_owner_left: None
) -> None:
    content = dense(tmp_path, "Small-3B", blocks=8, embedding=512).read_bytes()
    files = {FILE: content, "README.md": b"# Small"}
    listed = [{"id": NAME, "tags": ["gguf"], "downloads": 12}]
    served = {
        **repository(NAME, files, commit=COMMIT),
        "/api/models": json.dumps(listed).encode(),
    }

    async def held_back(request: Request) -> None:
        wanted = request.range
        if wanted is not None and wanted[1] - wanted[0] > STEP:
            await asyncio.sleep(1.5)
        await well(request)

    with serving(served, held_back) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(fresh_home / "cache" / "huggingface"))
        async with open_deck(fresh_home, ScriptedEngine()) as deck:
            await deck.rest()
            await deck.press("2")
            await deck.see(NAME)
            await deck.press("enter")
            await deck.see("best here")
            await deck.press("p")
            await deck.see("1 download queued. 3 shows them.")
            await deck.see("3 Pulls ▾1")
            await deck.press("3")
            await deck.see("Small-3B")
            await deck.see("● done")
            await deck.until(lambda: "▾" not in deck.text, "no badge")
            await deck.press("1")
            await deck.until(lambda: any(m.path.name == FILE for m in deck.app.state.models))
            model = next(m for m in deck.app.state.models if m.path.name == FILE)
            assert model.path.read_bytes() == content
            await deck.until(lambda: model.id in deck.app.state.verdicts, "its verdict")
