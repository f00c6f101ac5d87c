"""Who waits for an answer may walk away at any moment."""

from __future__ import annotations

import threading

import pytest

from modeldeck.engines.formats.attention import Attention
from modeldeck.engines.formats.web import web_of
from modeldeck.engines.formats.web_errors import Unreachable
from tests.support.file_server import Request, serving, well


def test_a_pause_ends_when_nobody_waits_any_more() -> None:
    attention, slept = Attention(), threading.Event()

    def sleep() -> None:
        attention.sleep(600)
        slept.set()

    threading.Thread(target=sleep, daemon=True).start()
    attention.end()
    assert slept.wait(20)
    assert attention.over


def test_only_who_still_waits_is_told_of_a_wait() -> None:
    told: list[float] = []
    attention = Attention(told.append)
    attention.asked_to_wait(3)
    attention.end()
    attention.asked_to_wait(5)
    assert told == [3]


def test_what_registers_too_late_is_ended_at_once_and_what_is_done_is_not() -> None:
    ended: list[str] = []
    attention = Attention()
    with attention.ending(lambda: ended.append("done before")):
        pass
    attention.end()
    with attention.ending(lambda: ended.append("late")):
        pass
    assert ended == ["late"]


def test_nothing_is_sent_for_who_has_gone() -> None:
    attention = Attention()
    with serving({"/d": b"{}"}) as server, web_of(attention=attention) as web:
        with web.request(f"{server.url}/d", {}) as reply:
            assert b"".join(reply.pieces) == b"{}"
        attention.end()
        with (
            pytest.raises(Unreachable, match="nobody waits"),
            web.request(f"{server.url}/d", {}),
        ):
            pass
        assert len(server.seen) == 1


def test_a_connection_that_is_made_while_one_goes_is_broken_off() -> None:
    attention = Attention()

    async def goes(request: Request) -> None:
        attention.end()
        await well(request)

    with (
        serving({"/d": b"{}"}, goes) as server,
        web_of(attention=attention) as web,
        pytest.raises(Unreachable, match="nobody waits"),
        web.request(f"{server.url}/d", {}) as reply,
    ):
        b"".join(reply.pieces)
