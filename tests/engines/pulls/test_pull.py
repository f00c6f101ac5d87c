"""Pulls from servers that behave, and from some that do not."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.errors import FormatError, ModeldeckError, ModelNotFound
from modeldeck.engines.formats.web import Patience
from modeldeck.engines.formats.web_errors import Unreachable
from modeldeck.engines.pulls import part_file
from modeldeck.engines.pulls.control import Bandwidth, Control
from modeldeck.engines.pulls.errors import Busy, Damaged, DiskFull, PullError, Stopped
from modeldeck.engines.pulls.places import UNDER_WAY
from modeldeck.engines.pulls.pull import Report, run_pull
from modeldeck.engines.pulls.types import Destination, Layout, PullState, Wanted
from modeldeck.engines.pulls.wanted import wanted
from modeldeck.engines.units import MIB
from tests.support.file_server import Behaviour, FileServer, Request, etag, serving, well
from tests.support.hub import repository

COMMIT = "c0ffee" + "0" * 34
HASTY = Patience(step_seconds=3, pause_seconds=0.01, tries=3, longest_pause_seconds=0.1)
CONTENT = bytes(os.urandom(MIB)) * 40
"""Five parts."""


class Told(list[Report]):
    """Reports, in their order."""

    @property
    def notes(self) -> list[str]:
        """What was noted."""
        return [report.note for report in self if report.note]


def pulled(
    want: Wanted, environ: Mapping[str, str] | None = None, control: Control | None = None
) -> tuple[tuple[Path, ...], Told]:
    told = Told()
    placed = run_pull(want, environ or {}, control or Control(), told.append, HASTY)
    return placed, told


def at_address(server: FileServer, folder: Path, path: str = "/m.gguf") -> Wanted:
    target = parse_target(f"{server.url}{path}")
    return wanted(target, Destination(Layout.FOLDER, folder), {}, patience=HASTY)


def nothing_left(folder: Path) -> bool:
    return not (folder / UNDER_WAY).exists()


def test_a_file_comes_whole_in_parts_over_several_connections(tmp_path: Path) -> None:
    with serving({"/m.gguf": CONTENT}) as server:
        placed, told = pulled(at_address(server, tmp_path))

        assert placed == (tmp_path / "m.gguf",)
        assert placed[0].read_bytes() == CONTENT
        assert len([one for one in server.seen if one.range and one.range != (0, 0)]) == 5
        assert server.sent_bytes <= len(CONTENT) + 10
    assert nothing_left(tmp_path)
    done = [report.files[0].done_bytes for report in told]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)
    assert told[-1].state is PullState.PLACING
    assert PullState.VERIFYING in [report.state for report in told]


def test_a_stopped_pull_goes_on_where_it_was(tmp_path: Path) -> None:
    control = Control(Bandwidth(24 * MIB))
    with serving({"/m.gguf": CONTENT}) as server:
        want = at_address(server, tmp_path)

        def stop(report: Report) -> None:
            if report.files[0].done_bytes > 12 * MIB:
                control.stop()

        with pytest.raises(Stopped):
            run_pull(want, {}, control, stop, HASTY)
        server.sent_bytes = 0
        placed, told = pulled(want)

        assert server.sent_bytes <= len(CONTENT) - 10 * MIB
    assert placed[0].read_bytes() == CONTENT
    assert told[0].files[0].done_bytes >= 10 * MIB


def dropping(every_bytes: int) -> Behaviour:
    """Hangs up after so many bytes of each answer."""

    async def behave(request: Request) -> None:
        content = request.server.files[request.path]
        first, last = request.range or (0, len(content) - 1)
        if last - first < every_bytes:
            await well(request)
            return
        await request.head(
            206,
            {
                "Content-Length": last - first + 1,
                "ETag": etag(content),
                "Content-Range": f"bytes {first}-{last}/{len(content)}",
            },
        )
        await request.body(content[first : first + every_bytes])
        request.hang_up()

    return behave


def test_a_line_that_drops_again_and_again(tmp_path: Path) -> None:
    with serving({"/m.gguf": CONTENT}, dropping(2 * MIB + 77)) as server:
        placed, _ = pulled(at_address(server, tmp_path))
        assert server.sent_bytes < 1.5 * len(CONTENT)
    assert placed[0].read_bytes() == CONTENT


def test_a_server_that_fails_now_and_then(tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        if request.number % 3 == 0:
            await request.answer(503, {"Retry-After": 0})
        else:
            await well(request)

    with serving({"/m.gguf": CONTENT}, behave) as server:
        placed, _ = pulled(at_address(server, tmp_path))
    assert placed[0].read_bytes() == CONTENT


def test_a_server_that_asks_for_patience_is_left_alone_that_long(tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        await request.answer(429, {"Retry-After": 1800})

    with serving({"/m.gguf": CONTENT}, behave) as server:
        with pytest.raises(Unreachable) as caught:
            pulled(at_address(server, tmp_path))
        assert caught.value.wait_seconds == 1800
        assert len(server.seen) == 1


def test_a_server_without_ranges_gives_the_whole(tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        request.headers.pop("Range", None)
        await well(request)

    with serving({"/m.gguf": CONTENT}, behave) as server:
        placed, told = pulled(at_address(server, tmp_path))
    assert placed[0].read_bytes() == CONTENT
    done = [report.files[0].done_bytes for report in told]
    assert done == sorted(done)


def test_a_file_that_changes_in_the_middle_is_begun_again_and_says_so(tmp_path: Path) -> None:
    other = CONTENT[::-1]

    async def behave(request: Request) -> None:
        if request.number == 4:
            request.server.files["/m.gguf"] = other
        await well(request)

    with serving({"/m.gguf": CONTENT}, behave) as server:
        placed, told = pulled(at_address(server, tmp_path))
    assert placed[0].read_bytes() == other
    assert "changed on 127.0.0.1" in told.notes[0]


def test_a_file_that_changed_between_two_tries_is_begun_again(tmp_path: Path) -> None:
    control = Control()
    with serving({"/m.gguf": CONTENT}) as server:
        want = at_address(server, tmp_path)
        with pytest.raises(Stopped):
            run_pull(want, {}, control, lambda _: control.stop(), HASTY)
        other = server.files["/m.gguf"] = CONTENT[::-1]
        placed, _ = pulled(want)
    assert placed[0].read_bytes() == other


def test_a_server_that_lies_about_what_it_gives(tmp_path: Path) -> None:
    async def behave(request: Request) -> None:
        content = request.server.files[request.path]
        size = len(content)
        headers: dict[str, object] = {"Content-Range": f"bytes 5-{size - 1}/{size}"}
        await request.answer(206, headers, content[5:])

    with serving({"/m.gguf": CONTENT}, behave) as server:
        want = at_address(server, tmp_path)
        with pytest.raises(FormatError, match="other bytes"):
            pulled(want)


def test_a_full_disk_keeps_what_came_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_file, "_KEPT_FREE_BYTES", 1 << 60)
    with serving({"/m.gguf": CONTENT}) as server:
        want = at_address(server, tmp_path)
        with pytest.raises(DiskFull, match="MiB more are needed") as caught:
            pulled(want)
    assert caught.value.missing_bytes > 0
    assert list((tmp_path / UNDER_WAY).iterdir())


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    control, running = Control(Bandwidth(8 * MIB)), threading.Event()
    with serving({"/m.gguf": CONTENT}) as server:
        want = at_address(server, tmp_path)
        errors: list[ModeldeckError] = []

        def first() -> None:
            try:
                run_pull(want, {}, control, lambda _: running.set(), HASTY)
            except ModeldeckError as error:
                errors.append(error)

        thread = threading.Thread(target=first)
        thread.start()
        running.wait()
        with pytest.raises(Busy):
            pulled(want)
        control.stop()
        thread.join()
    assert [type(error) for error in errors] == [Stopped]


def test_another_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"mine")
    with serving({"/m.gguf": CONTENT}) as server, pytest.raises(PullError, match="Another file"):
        pulled(at_address(server, tmp_path))
    assert (tmp_path / "m.gguf").read_bytes() == b"mine"


# The Hub


def on_hub(
    server: FileServer, text: str, folder: Path, layout: Layout = Layout.HUB_CACHE
) -> tuple[Wanted, dict[str, str]]:
    environ = {"HF_ENDPOINT": server.url}
    destination = Destination(layout, folder)
    return wanted(parse_target(text), destination, environ, patience=HASTY), environ


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
    assert not (tmp_path / "models--o--n" / "snapshots").exists()


def test_a_damaged_small_file_is_told_by_gits_digest(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": CONTENT[:MIB]}
    with serving(repository("o/n", files, commit=COMMIT)) as server:
        want, environ = on_hub(server, "hf:o/n", tmp_path)
        server.files[f"/o/n/resolve/{COMMIT}/config.json"] = b"[]"
        with pytest.raises(Damaged):
            pulled(want, environ)


def test_the_token_stays_with_the_hub_when_it_sends_us_elsewhere(tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    with serving({f"/{digest}": CONTENT}) as storage:

        async def behave(request: Request) -> None:
            if "/resolve/" in request.path:
                headers = {"Location": f"{storage.url}/{digest}", "X-Linked-Etag": f'"{digest}"'}
                await request.answer(302, headers)
            else:
                await well(request)

        with serving(repository("o/n", {"m.gguf": CONTENT}, commit=COMMIT), behave) as server:
            environ = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_secret"}
            there = Destination(Layout.HUB_CACHE, tmp_path)
            want = wanted(parse_target("hf:o/n"), there, environ)
            placed, _ = pulled(want, environ)
        assert all("Authorization" in request.headers for request in server.seen)
        assert storage.seen
        assert not any("Authorization" in request.headers for request in storage.seen)
    assert placed[0].read_bytes() == CONTENT
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"hf_secret" not in kept


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
