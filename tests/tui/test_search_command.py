"""``modeldeck search``, against a server that answers as the Hub does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modeldeck.tui.cli import main
from tests.support.decks import dense
from tests.support.file_server import FileServer, Request, serving, well
from tests.support.hub import repository

NAME = "owner/Small-3B-GGUF"


@pytest.fixture
def hub(tmp_path: Path) -> dict[str, bytes]:
    content = dense(tmp_path, "Small-3B", blocks=4, embedding=512).read_bytes()
    files = {"Small-3B-Q4_K_M.gguf": content, "Small-3B-Q8_0.gguf": content}
    entry = {"downloads": 1234, "likes": 5, "tags": ["gguf"], "gguf": {"total": 3_200_000_000}}
    listed = [{"id": NAME, **entry}, {"id": "other/Large-70B", **entry, "gated": "manual"}]
    return {**repository(NAME, files), "/api/models": json.dumps(listed).encode()}


def typed(server: FileServer, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    return main(["search", *words])


def test_repositories_are_listed(
    hub: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(hub) as server:
        words = ("small", "--author", "owner", "--format", "gguf", "--params", "<9B")
        assert typed(server, monkeypatch, *words) == 0
        path = server.seen[0].path
    said = capsys.readouterr()
    assert NAME in said.out
    assert "3.2B" in said.out
    assert "gated" in said.out
    assert f"modeldeck search {NAME}" in said.err
    for asked in ("search=small", "author=owner", "filter=gguf", "max%3A9000000000"):
        assert asked in path


def test_a_wait_that_the_hub_asks_for_is_said(
    hub: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def busy(request: Request) -> None:
        if request.number == 1:
            await request.answer(429, {"Retry-After": "1"})
        else:
            await well(request)

    with serving(hub, busy) as server:
        assert typed(server, monkeypatch, "small") == 0
    said = capsys.readouterr()
    assert NAME in said.out
    assert "asks to wait 1 s" in said.err


def test_the_variants_of_one_are_judged_and_the_best_is_named(
    hub: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(hub) as server:
        assert typed(server, monkeypatch, NAME, "--ctx", "4k") == 0
        assert all("Range" in one.headers for one in server.seen if "resolve" in one.path)
    said = capsys.readouterr()
    assert "Q4_K_M" in said.out
    assert "fits" in said.out
    assert f"next: modeldeck pull hf:{NAME}:Small-3B-Q" in said.err
    assert "with 4k context" in said.err


def test_json_has_stable_keys(
    hub: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(hub) as server:
        typed(server, monkeypatch, NAME, "--json")
        variants = json.loads(capsys.readouterr().out)
        typed(server, monkeypatch, "--json", "--limit", "1")
        (found,) = json.loads(capsys.readouterr().out)
    assert [one["verdict"] for one in variants] == ["fits", "fits"]
    assert [one["best"] for one in variants].count(True) == 1
    assert (found["name"], found["parameters"], found["gated"]) == (NAME, 3_200_000_000, False)


def test_without_the_hub_the_last_answer_stays_with_its_age(
    hub: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(hub) as server:
        typed(server, monkeypatch)
        capsys.readouterr()

        async def down(request: Request) -> None:
            request.hang_up()

        server.behave = down
        assert typed(server, monkeypatch) == 0
    said = capsys.readouterr()
    assert NAME in said.out
    assert "cannot be reached now" in said.err


def test_nothing_found_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving({"/api/models": b"[]"}) as server:
        assert typed(server, monkeypatch, "nonsense") == 1
    assert "nothing for “nonsense”" in capsys.readouterr().err


def test_ollamas_library_is_searched_without_a_network(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["search", "--ollama", "coder"]) == 0
    assert "qwen3-coder" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("--params", "big"), ("--format", "zip"), ("--limit", "0")])
def test_mistakes_say_what_to_write(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving({"/api/models": b"[]"}) as server:
        try:
            code = typed(server, monkeypatch, *words)
        except SystemExit as left:
            code = int(str(left.code))
    assert code in (1, 2)
    assert "next: " in capsys.readouterr().err


def test_the_hubs_own_client_finds_the_same(
    hub: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import HfApi

    async def behave(request: Request) -> None:
        if "/api/" in request.path and "models" not in request.path:
            await request.answer(404, {})  # its daily question of its own
        else:
            await well(request)

    with serving(hub, behave) as server:
        theirs = [one.id for one in HfApi(endpoint=server.url, token=False).list_models()]
        typed(server, monkeypatch, "--json")
    ours = [one["name"] for one in json.loads(capsys.readouterr().out)]
    assert ours == theirs
