"""``modeldeck fit`` for models that are elsewhere: once asked, remembered; and what is on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modeldeck.tui.cli import main
from tests.support.file_server import FileServer, Request, serving, well
from tests.support.gguf_files import llama_metadata, llama_tensors, write_gguf, write_llama
from tests.support.hub import folder_files, repository
from tests.support.safetensors_files import LLAMA, Weight, llama_weights, write_folder

Captured = pytest.CaptureFixture[str]
TOKEN = "hf_a_secret_of_mine"


def judged(capsys: Captured, *words: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """The record of one target, and what was said on standard error."""
    assert main(["fit", *words, "--gpu", "RTX 3060 12GB", "--json"]) == code
    out, err = capsys.readouterr()
    (record,) = json.loads(out)
    return record, err


def hub(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def kept(home: Path) -> bytes:
    """All that is kept in files."""
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("blobs", [True, False])
def test_the_second_time_no_byte_of_a_header_is_asked_for(
    blobs: bool, fresh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    content = write_llama(fresh_home / "a.gguf").read_bytes()
    with serving(repository("o/n", {"a.gguf": content}, blobs=blobs)) as server:
        hub(server, monkeypatch)
        first, _ = judged(capsys, "hf:o/n")
        server.seen.clear()
        server.sent_bytes = 0
        second, _ = judged(capsys, "hf:o/n")
    assert second == first
    assert [request.method for request in server.seen] == ["GET", *["HEAD"] * (not blobs)]
    assert server.sent_bytes == 0
    assert TOKEN.encode() not in kept(fresh_home)


def test_a_file_that_changed_is_read_again(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    small = write_llama(fresh_home / "a.gguf").read_bytes()
    larger = write_gguf(
        fresh_home / "b.gguf", llama_metadata(blocks=4), llama_tensors(blocks=4)
    ).read_bytes()
    with serving(repository("o/n", {"a.gguf": small})) as server:
        hub(server, monkeypatch)
        first, _ = judged(capsys, "hf:o/n")
        server.files |= repository("o/n", {"a.gguf": larger})
        second, _ = judged(capsys, "hf:o/n")
    assert (first["layers"], second["layers"]) == (2, 4)


@pytest.mark.parametrize("where", ["hub", "address"])
def test_without_a_server_the_last_answer_is_given_with_its_age(
    where: str, fresh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    content = write_llama(fresh_home / "a.gguf").read_bytes()
    with serving(repository("o/n", {"a.gguf": content}) | {"/m.gguf": content}) as server:
        hub(server, monkeypatch)
        target = "hf:o/n" if where == "hub" else f"{server.url}/m.gguf?key={TOKEN}"
        there, err = judged(capsys, target)
        assert "reached" not in err
    gone, err = judged(capsys, target)
    assert gone == there
    assert "the server cannot be reached; this is what it said" in err
    assert "a moment ago" in err or "second" in err
    never, _ = judged(capsys, f"{server.url}/other.gguf", code=1)
    assert "cannot be read from" in never["problem"]
    assert TOKEN.encode() not in kept(fresh_home)


def test_hugging_faces_own_switch_keeps_us_from_asking(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    content = write_llama(fresh_home / "a.gguf").read_bytes()
    with serving(repository("o/n", {"a.gguf": content})) as server:
        hub(server, monkeypatch)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        never, _ = judged(capsys, "hf:o/n", code=1)
        assert "HF_HUB_OFFLINE" in never["problem"]
        assert not server.seen
        monkeypatch.delenv("HF_HUB_OFFLINE")
        first, _ = judged(capsys, "hf:o/n")
        asked = len(server.seen)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        second, _ = judged(capsys, "hf:o/n")
        assert len(server.seen) == asked
    assert second == first


@pytest.mark.parametrize("damage", [b"", b"no database", bytes(8192)])
def test_what_is_kept_may_be_damaged(
    damage: bytes, fresh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    content = write_llama(fresh_home / "a.gguf").read_bytes()
    with serving({"/m.gguf": content}) as server:
        first, _ = judged(capsys, f"{server.url}/m.gguf")
        (database,) = fresh_home.rglob("remote.db")
        for companion in database.parent.glob("remote.db-*"):
            companion.unlink()
        database.write_bytes(damage)
        second, _ = judged(capsys, f"{server.url}/m.gguf")
    assert second == first


def test_a_cache_that_cannot_be_written_only_costs_time(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (fresh_home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(fresh_home / "file"))
    content = write_llama(fresh_home / "a.gguf").read_bytes()
    with serving({"/m.gguf": content}) as server:
        record, _ = judged(capsys, f"{server.url}/m.gguf")
    assert record["verdict"] == "fits"


@pytest.mark.parametrize(
    ("table", "engine", "verdict"),
    [
        ({"quant_method": "exl2", "bits": 4.0}, "exllamav2", "fits"),
        ({"quant_method": "exl3", "bits": 4.0}, "exllamav3", "fits"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "exllamav2", "fits"),
        ({"quant_method": "awq", "bits": 4}, "vllm", "fits"),
        ({"quant_method": "fp8"}, "vllm", "fits"),
        (None, "transformers", "fits"),
    ],
)
def test_a_repository_of_safetensors_is_judged_with_the_engine_that_runs_it(
    table: dict[str, object] | None,
    engine: str,
    verdict: str,
    fresh_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    config = {**LLAMA, **({"quantization_config": table} if table else {})}
    weights = llama_weights(2, linear="I32" if table else "BF16")
    folder = write_folder(
        fresh_home / "m", [*weights, Weight("model.layers.0.scales", (8, 8), "F16")], config
    )
    with serving(repository("o/n", folder_files(folder), revision="4bit")) as server:
        hub(server, monkeypatch)
        record, _ = judged(capsys, "hf:o/n@4bit", "--ctx", "2k")
        assert main(["fit", "hf:o/n@4bit", "--gpu", "RTX 3060 12GB"]) == 0
    assert (record["engine"], record["verdict"], record["options"]["ctx"]) == (
        engine,
        verdict,
        2048,
    )
    assert "hf:o/n@4bit" in capsys.readouterr().out


def test_every_branch_is_judged_when_all_are_asked_for(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    branches = ("main", "3.0bpw", "4.0bpw")
    files = repository("o/n", {"README.md": b""}, branches=branches)
    for bits in (3.0, 4.0):
        config = {**LLAMA, "quantization_config": {"quant_method": "exl2", "bits": bits}}
        folder = write_folder(fresh_home / str(bits), config=config)
        files |= repository("o/n", folder_files(folder), revision=f"{bits}bpw", branches=branches)
    with serving(files) as server:
        hub(server, monkeypatch)
        assert main(["fit", "hf:o/n", "--all-quants", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["target"] for record in records] == ["hf:o/n@3.0bpw", "hf:o/n@4.0bpw"]


def test_a_gated_model_says_where_to_accept_what(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    async def gated(request: Request) -> None:
        if "Authorization" in request.headers:
            await well(request)
        else:
            await request.answer(401, {"X-Error-Code": "GatedRepo"})

    content = write_llama(fresh_home / "a.gguf").read_bytes()
    with serving(repository("o/n", {"a.gguf": content}), gated) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        refused, _ = judged(capsys, "hf:o/n", code=1)
        hub(server, monkeypatch)
        given, _ = judged(capsys, "hf:o/n")
    assert f"{server.url}/o/n" in refused["problem"]
    assert "HF_TOKEN" in refused["problem"]
    assert given["verdict"] == "fits"


def test_llama_cpp_itself_sizes_a_model_that_is_not_here(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    content = write_llama(fresh_home / "a.gguf").read_bytes()
    with serving(repository("o/n", {"a.gguf": content})) as server:
        hub(server, monkeypatch)
        words = ("hf:o/n", "--ngl", "0", "--ctx", "512", "--dry-run")
        record, said = judged(capsys, *words)
        again, _ = judged(capsys, *words)
        formula, _ = judged(capsys, *words[:-1])
    assert record == again
    assert (record["verdict"], record["source"]) == ("cpu-only", "engine"), said
    assert formula["source"] == "closed-form"
    assert abs(record["bill"]["kv"] - formula["bill"]["kv"]) <= 1 << 20
