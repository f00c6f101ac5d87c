"""Pulls from the Hub into its own cache, and what it could do to us."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import FormatError, ModelNotFound
from modeldeck.engines.pulls import part_file
from modeldeck.engines.pulls.control import Bandwidth, Control
from modeldeck.engines.pulls.errors import Damaged, DiskFull, PullError, Stopped
from modeldeck.engines.pulls.pull import Report, run_pull
from modeldeck.engines.pulls.types import Destination, Layout
from modeldeck.engines.pulls.wanted import wanted
from modeldeck.engines.units import MIB
from tests.support.file_server import Request, etag, serving, well
from tests.support.hub import repository
from tests.support.pulls import (
    COMMIT,
    CONTENT,
    HASTY,
    nothing_left,
    on_hub,
    pulled,
)


def test_the_hubs_own_library_uses_what_was_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "model-Q4_K_M-00001-of-00002.gguf": CONTENT[: 3 * MIB],
        "model-Q4_K_M-00002-of-00002.gguf": CONTENT[: 9 * MIB],
        "model-Q8_0.gguf": b"other",
        "mmproj-F16.gguf": b"sees" * 4000,
        "README.md": b"card",
    }
    with serving(repository("o/n", files, commit=COMMIT)) as server:
        placed, _ = pulled(*on_hub(server, "hf:o/n:Q4_K_M", tmp_path))
    assert {path.name for path in placed} == {
        "model-Q4_K_M-00001-of-00002.gguf",
        "model-Q4_K_M-00002-of-00002.gguf",
        "mmproj-F16.gguf",
    }

    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    for path in placed:
        found = try_to_load_from_cache("o/n", path.name, cache_dir=tmp_path, revision="main")
        assert isinstance(found, str)
        assert Path(found).read_bytes() == files[path.name]
    scanned = scan_cache_dir(tmp_path)
    assert not scanned.warnings
    assert [repo.repo_id for repo in scanned.repos] == ["o/n"]
    assert nothing_left(tmp_path / "models--o--n")


def test_a_folder_of_safetensors_comes_with_its_papers_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "model.safetensors": CONTENT[:MIB],
        "pytorch_model.bin": b"pickle",
        ".gitattributes": b"git",
        "original/consolidated.00.pth": b"pickle",
    }
    with serving(repository("o/n", files, commit=COMMIT)) as server:
        placed, _ = pulled(*on_hub(server, "hf:o/n", tmp_path, Layout.FOLDER))
    names = {str(path.relative_to(tmp_path)) for path in placed}
    assert names == {"o/n/config.json", "o/n/tokenizer.json", "o/n/model.safetensors"}


def test_pickles_come_only_when_they_are_asked_for(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    with serving(repository("o/n", files, commit=COMMIT)) as server:
        with pytest.raises(PullError, match="pickles"):
            on_hub(server, "hf:o/n", tmp_path)
        environ = {"HF_ENDPOINT": server.url}
        there = Destination(Layout.FOLDER, tmp_path)
        want = wanted(parse_target("hf:o/n"), there, environ, pickles=True)
    assert "pytorch_model.bin" in [file.name for file in want.files]


@pytest.mark.parametrize(
    "name",
    ["../../x.gguf", "/etc/x.gguf", "a//x.gguf", "a/./x.gguf", "x\x1b[31m.gguf", "a\\x.gguf"],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with (
        serving(repository("o/n", {name: b"x"}, commit=COMMIT)) as server,
        pytest.raises(PullError, match="may not be written") as caught,
    ):
        on_hub(server, "hf:o/n", tmp_path)
    assert "\x1b" not in str(caught.value)


def test_a_huge_config_is_refused_before_it_comes(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"x"}
    sizes = {"config.json": 1 << 30}
    with (
        serving(repository("o/n", files, commit=COMMIT, sizes=sizes)) as server,
        pytest.raises(PullError, match="1,024 MiB"),
    ):
        on_hub(server, "hf:o/n", tmp_path)


def test_what_is_not_what_the_listing_says_is_fetched_twice_then_refused(tmp_path: Path) -> None:
    with serving(repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT)) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        server.files[f"/o/n/resolve/{COMMIT}/m.gguf"] = CONTENT[::-1]
        with pytest.raises(Damaged):
            pulled(want, environ)
        assert 2 * len(CONTENT) <= server.sent_bytes < 2.2 * len(CONTENT)
    assert not any((tmp_path / "models--o--n" / "snapshots").iterdir())


def test_a_damaged_small_file_is_told_by_gits_digest(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": CONTENT[:MIB]}
    with serving(repository("o/n", files, commit=COMMIT)) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        server.files[f"/o/n/resolve/{COMMIT}/config.json"] = b"[]"
        with pytest.raises(Damaged):
            pulled(want, environ)


def test_a_gated_repository_says_where_to_accept(tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        await request.answer(403, {"X-Error-Code": "GatedRepo"})

    with serving({}, behave) as server, pytest.raises(FormatError, match="gated") as caught:
        on_hub(server, "hf:o/n", tmp_path)
    assert "/o/n" in caught.value.next_step


def test_a_mirror_that_lists_no_digests_is_asked_for_each(tmp_path: Path) -> None:
    files = repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT, blobs=False)
    with serving(files) as server:
        placed, _ = pulled(*on_hub(server, "hf:o/n", tmp_path))
    assert placed[0].read_bytes() == CONTENT
    assert placed[0].resolve().name == etag(CONTENT).strip('"')


def test_what_is_here_is_not_fetched_again(tmp_path: Path) -> None:
    with serving(repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT)) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        pulled(want, environ)
        server.sent_bytes = 0
        placed, told = pulled(want, environ)
        assert server.sent_bytes == 0
    assert placed[0].read_bytes() == CONTENT
    assert told[-1].files[0].done_bytes == len(CONTENT)


def test_a_link_in_the_store_does_not_lead_a_file_out_of_it(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store = tmp_path / "store"
    store.mkdir()
    (store / "o").symlink_to(elsewhere)
    with serving(repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT)) as server:
        want, environ = on_hub(server, "hf:o/n", store, Layout.FOLDER)
        with pytest.raises(PullError, match="leads out"):
            pulled(want, environ)
    assert not list(elsewhere.rglob("*.gguf"))


@pytest.mark.parametrize("text", ["ollama:../..:x", "ollama:a/..:x"])
def test_a_registry_name_that_leads_elsewhere_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises((PullError, ModelNotFound)):
        wanted(parse_target(text), Destination(Layout.OLLAMA_STORE, tmp_path), {})


def test_a_gated_file_of_a_repository_that_lists_itself_to_all(tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        if "/resolve/" in request.path:
            await request.answer(403, {"X-Error-Code": "GatedRepo"})
        else:
            await well(request)

    with serving(repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT), behave) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        with pytest.raises(FormatError, match="gated") as caught:
            pulled(want, environ)
    assert "/o/n" in caught.value.next_step


def test_the_whole_pull_has_to_have_room_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_file, "_KEPT_FREE_BYTES", 0)
    parts = {f"m-Q4_K_M-0000{n}-of-00002.gguf": b"x" for n in (1, 2)}
    sizes = dict.fromkeys(parts, 1 << 49)
    with serving(repository("o/n", parts, commit=COMMIT, sizes=sizes)) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        asked = len(server.seen)
        with pytest.raises(DiskFull) as caught:
            pulled(want, environ)
        assert len(server.seen) == asked
    assert caught.value.missing_bytes > 1 << 49


def test_the_hubs_tools_have_no_complaint_while_a_pull_is_under_way(tmp_path: Path) -> None:
    from huggingface_hub import scan_cache_dir

    control = Control(Bandwidth(24 * MIB))
    warnings: list[object] = []

    def look(report: Report) -> None:
        if report.files[0].done_bytes > 12 * MIB:
            warnings.extend(scan_cache_dir(tmp_path).warnings)
            control.stop()

    with serving(repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT)) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        with pytest.raises(Stopped):
            run_pull(want, environ, control, look, HASTY)
    assert not warnings


def test_a_newer_commit_between_two_tries_is_begun_again_and_says_so(tmp_path: Path) -> None:
    control = Control(Bandwidth(24 * MIB))

    def stop(report: Report) -> None:
        if report.files[0].done_bytes > 8 * MIB:
            control.stop()

    with serving(repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT)) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        with pytest.raises(Stopped):
            run_pull(want, environ, control, stop, HASTY)
        newer = repository("o/n", {"m.gguf": CONTENT[::-1]}, commit=COMMIT[::-1])
        server.files.update(newer)
        placed, told = pulled(*on_hub(server, "hf:o/n", tmp_path))
    assert placed[0].read_bytes() == CONTENT[::-1]
    assert "changed on 127.0.0.1" in told.notes[0]
    assert nothing_left(tmp_path / "models--o--n")


def test_a_mirror_of_the_same_content_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    control = Control(Bandwidth(24 * MIB))

    def stop(report: Report) -> None:
        if report.files[0].done_bytes > 12 * MIB:
            control.stop()

    async def other_etags(request: Request) -> None:
        if "/resolve/" in request.path and request.range:
            content = request.server.files[request.path]
            first, last = request.range
            said = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "ETag": '"mirror"'}
            await request.answer(206, said, content[first : last + 1])
        else:
            await well(request)

    files = repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT)
    with serving(files) as hub, serving(files, other_etags) as mirror:
        want, environ = on_hub(hub, "hf:o/n", tmp_path)
        with pytest.raises(Stopped):
            run_pull(want, environ, control, stop, HASTY)
        placed, _ = pulled(*on_hub(mirror, "hf:o/n", tmp_path))
        assert mirror.sent_bytes < len(CONTENT) - 8 * MIB
    assert placed[0].read_bytes() == CONTENT


_LOAD = """
import sys
from huggingface_hub import hf_hub_download, snapshot_download
for name in sys.argv[2:]:
    print(hf_hub_download("o/n", name, cache_dir=sys.argv[1], local_files_only=True))
print(snapshot_download("o/n", cache_dir=sys.argv[1], local_files_only=True))
"""


def test_the_hubs_own_tools_load_and_verify_what_was_pulled(tmp_path: Path) -> None:
    files = {
        "config.json": b"{}",
        "sub/deep/vocab.txt": b"words",
        "tokenizer.json": b"{}" * 9000,
        "model.safetensors": CONTENT[: 3 * MIB],
    }
    store = tmp_path / "store"
    with serving(repository("o/n", files, commit=COMMIT)) as server:
        pulled(*on_hub(server, "hf:o/n", store))
        environ = {**os.environ, "HF_ENDPOINT": server.url, "HF_HUB_DISABLE_TELEMETRY": "1"}
        environ |= {"HF_HOME": str(tmp_path), "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        sent = server.sent_bytes
        load = [sys.executable, "-c", _LOAD, str(store), *files]
        loaded = subprocess.run(load, env=environ, capture_output=True, text=True)
        assert not loaded.returncode, loaded.stderr
        assert server.sent_bytes == sent
        paths = [Path(line) for line in loaded.stdout.splitlines()]
        assert [path.read_bytes() for path in paths[:-1]] == list(files.values())

        hf = str(Path(sys.executable).with_name("hf"))
        words = [hf, "cache", "verify", "o/n", "--cache-dir", str(store)]
        words += ["--fail-on-missing-files", "--fail-on-extra-files"]
        verified = subprocess.run(words, env=environ, capture_output=True, text=True)
    assert not verified.returncode, verified.stdout + verified.stderr
    assert "4" in verified.stdout


def test_any_file_can_be_named_and_a_pickle_only_on_purpose(tmp_path: Path) -> None:
    files = {"m-Q4_K_M.gguf": b"x", "imatrix.dat": b"calibration", "head.pt": b"pickle"}
    with serving(repository("o/n", files, commit=COMMIT)) as server:
        want, _ = on_hub(server, "hf:o/n:imatrix.dat", tmp_path)
        with pytest.raises(PullError, match="pickle"):
            on_hub(server, "hf:o/n:head.pt", tmp_path)
    assert [file.name for file in want.files] == ["imatrix.dat"]


def test_a_password_in_an_address_is_not_taken(tmp_path: Path) -> None:
    target = parse_target("https://me:secret@host.example/m.gguf")
    with pytest.raises(PullError, match="password") as caught:
        wanted(target, Destination(Layout.FOLDER, tmp_path), {})
    assert "secret" not in str(caught.value)


def test_a_file_system_without_links_gets_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import scan_cache_dir

    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", no_links)
    monkeypatch.setattr(os, "link", no_links)
    with serving(repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT)) as server:
        placed, _ = pulled(*on_hub(server, "hf:o/n", tmp_path))
        again, _ = pulled(*on_hub(server, "hf:o/n", tmp_path))
    assert placed == again
    assert not placed[0].is_symlink()
    assert placed[0].read_bytes() == CONTENT
    assert not scan_cache_dir(tmp_path).warnings
