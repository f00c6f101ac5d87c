"""Pulls from servers that behave, and from some that do not."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from modeldeck.engines.errors import FormatError, ModeldeckError
from modeldeck.engines.formats.web_errors import Unreachable
from modeldeck.engines.pulls import connections, part_file, pull
from modeldeck.engines.pulls.control import Bandwidth, Control
from modeldeck.engines.pulls.errors import Busy, DiskFull, PullError, Stopped
from modeldeck.engines.pulls.places import UNDER_WAY
from modeldeck.engines.pulls.pull import Report, run_pull
from modeldeck.engines.pulls.types import PullState
from modeldeck.engines.units import MIB
from tests.support.file_server import Behaviour, Request, etag, serving, well
from tests.support.pulls import (
    CONTENT,
    HASTY,
    Told,
    at_address,
    nothing_left,
    pulled,
)


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


def test_what_is_all_here_says_how_far_it_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_TELL_SECONDS", 0.0)  # a block, then the next report
    monkeypatch.setattr(pull, "_TELL_SECONDS", 0.0)

    def unsettled(*_: object) -> Path:
        raise PullError("The power went.", "Start again.")

    with serving({"/m.gguf": CONTENT}) as server:
        want = at_address(server, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(pull, "settle", unsettled)
            with pytest.raises(PullError):
                pulled(want)
        sent = server.sent_bytes
        placed, told = pulled(want)
    assert placed[0].read_bytes() == CONTENT
    assert server.sent_bytes - sent < MIB
    verifying = [r.files[0] for r in told if r.state is PullState.VERIFYING]
    done = [file.verified_bytes for file in verifying]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)
    assert len({file.verified_percent for file in verifying}) > 10
    assert all(file.done_bytes == len(CONTENT) for file in verifying)


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


def test_an_address_of_several_parts_goes_on_after_the_first_is_in_place(tmp_path: Path) -> None:
    names = [f"/m-0000{number}-of-00002.gguf" for number in (1, 2)]
    control = Control()

    def stop(report: Report) -> None:
        if report.files[1].done_bytes:
            control.stop()

    with serving(dict.fromkeys(names, CONTENT)) as server:
        want = at_address(server, tmp_path, names[0])
        with pytest.raises(Stopped):
            run_pull(want, {}, control, stop, HASTY)
        assert (tmp_path / names[0][1:]).exists()
        placed, _ = pulled(want)
    assert [path.read_bytes() == CONTENT for path in placed] == [True, True]
    assert nothing_left(tmp_path)


def test_what_nothing_tells_apart_is_not_patched_together(tmp_path: Path) -> None:
    """Neither a digest nor an etag: the rest could be of another file."""

    async def behave(request: Request) -> None:
        content = request.server.files[request.path]
        first, last = request.range or (0, len(content) - 1)
        said = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        await request.answer(206, said, content[first : last + 1])

    control = Control(Bandwidth(24 * MIB))

    def stop(report: Report) -> None:
        if report.files[0].done_bytes > 12 * MIB:
            control.stop()

    with serving({"/m.gguf": CONTENT}, behave) as server:
        want = at_address(server, tmp_path)
        with pytest.raises(Stopped):
            run_pull(want, {}, control, stop, HASTY)
        other = server.files["/m.gguf"] = CONTENT[::-1]
        placed, _ = pulled(want)
    assert placed[0].read_bytes() == other


def test_a_limit_that_is_lifted_counts_at_once(tmp_path: Path) -> None:
    bandwidth = Bandwidth(1000)
    control = Control(bandwidth)
    reports = Told()

    def lift(report: Report) -> None:
        reports.append(report)
        bandwidth.set(None)

    threading.Timer(0.3, bandwidth.set, [None]).start()
    with serving({"/m.gguf": CONTENT}) as server:
        run_pull(at_address(server, tmp_path), {}, control, lift, HASTY)
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


def test_a_server_that_gives_parts_no_longer_begins_again_and_says_so(tmp_path: Path) -> None:
    control = Control(Bandwidth(24 * MIB))

    def stop(report: Report) -> None:
        if report.files[0].done_bytes > 4 * MIB:
            control.stop()

    async def whole(request: Request) -> None:
        request.headers.pop("Range", None)
        await well(request)

    with serving({"/m.gguf": CONTENT}) as server:
        want = at_address(server, tmp_path)
        with pytest.raises(Stopped):
            run_pull(want, {}, control, stop, HASTY)
        server.behave = whole
        placed, told = pulled(want)
    assert placed[0].read_bytes() == CONTENT
    assert "gives no parts now" in told.notes[0]
    assert nothing_left(tmp_path)
