"""Headers read by ranges over a real connection: what they cost, and what servers do to us."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from modeldeck.engines.errors import FormatError
from modeldeck.engines.formats.gguf import GgufFile, read_gguf
from modeldeck.engines.formats.http_source import Changed, HttpSource
from modeldeck.engines.formats.web import Patience, web_of
from modeldeck.engines.formats.web_errors import Unreachable
from tests.support import misbehaviour as bad
from tests.support.file_server import Behaviour, FileServer, serving, well
from tests.support.gguf_files import Tensor, header_bytes, llama_metadata

QUICK = Patience(
    step_seconds=0.4,
    request_seconds=0.8,
    whole_seconds=4.0,
    pause_seconds=0.01,
    longest_pause_seconds=0.5,
)


def gguf(tokens: int, tensors: int = 200, *, data_bytes: int = 2 << 20) -> bytes:
    """A file with so many tokens and merges, and weights of zeros after its header."""
    metadata = llama_metadata(tokens=1) | {
        "tokenizer.ggml.tokens": [f"token{number:06}" for number in range(tokens)],
        "tokenizer.ggml.token_type": [1] * tokens,
        "tokenizer.ggml.merges": [f"to ken{number:06}" for number in range(tokens)],
    }
    table = [Tensor(f"blk.{at}.ffn_up.weight", (32, 1)) for at in range(tensors)]
    return header_bytes(metadata, table) + bytes(64 * tensors + data_bytes)


MIDDLING = gguf(20_000)


@dataclass(frozen=True)
class Reading:
    """What was read, and what it took."""

    header: GgufFile
    received_bytes: int
    server: FileServer


def read(content: bytes, behave: Behaviour = well) -> Reading:
    with serving({"/m.gguf": content}, behave) as server, web_of(patience=QUICK) as web:
        with HttpSource(web, f"{server.url}/m.gguf") as source:
            header = read_gguf(source)
        return Reading(header, source.received_bytes, server)


@pytest.mark.parametrize(
    ("tokens", "tensors"),
    [
        (20, 80),
        (50, 200),
        (200, 20),
        (1_000, 300),
        (4_000, 300),
        (32_000, 300),
        (150_000, 400),
        (256_000, 700),
    ],
)
def test_a_header_of_any_size_costs_a_quarter_more_at_most(tokens: int, tensors: int) -> None:
    reading = read(gguf(tokens, tensors))
    size = reading.header.data_offset
    assert size > 4 << 10
    assert len(reading.header.tensors) == tensors
    assert reading.received_bytes == reading.server.sent_bytes
    assert reading.server.wire_bytes / size <= 1.25
    assert len(reading.server.seen) <= 12


def test_of_a_header_smaller_than_the_first_read_four_kibibytes_are_read() -> None:
    reading = read(gguf(1, 2))
    assert reading.header.data_offset < 2048
    assert reading.server.sent_bytes == 4096


def test_numbers_that_nobody_needs_are_not_asked_for() -> None:
    metadata = llama_metadata() | {"tokenizer.ggml.scores": [0.0] * 150_000}
    reading = read(header_bytes(metadata, [Tensor("a", (32, 1))]) + bytes(1 << 20))
    assert reading.header.data_offset > 600_000
    assert reading.server.sent_bytes < 30_000


@pytest.mark.parametrize(
    "behave",
    [
        bad.drops(10_000, times=1),
        bad.drops(10_000, times=3),
        bad.drops(0, times=3),
        bad.busy(2),
        bad.busy(1, retry_after=0, status=429),
        bad.busy(1, retry_after="Mon, 01 Jan 2024 00:00:00 GMT"),
        bad.ignores_ranges,
        bad.drops(100_000, times=2, whole=True),
        bad.sends_more_than_it_says,
        bad.changes(2, MIDDLING, times=0),
    ],
)
def test_what_can_be_mended_is_read_all_the_same(behave: Behaviour) -> None:
    assert read(MIDDLING, behave).header.metadata == read(MIDDLING).header.metadata


def test_a_range_that_breaks_off_is_gone_on_with_where_it_stood() -> None:
    whole = read(MIDDLING).server.sent_bytes
    broken = read(MIDDLING, bad.drops(20_000, times=3)).server
    assert broken.sent_bytes == whole
    first, second = [one.range for one in broken.seen if one.range][1:3]
    assert second[0] == first[0] + 20_000


def test_of_a_server_that_knows_no_ranges_only_the_header_is_taken() -> None:
    content = gguf(20_000, data_bytes=64 << 20)
    reading = read(content, bad.ignores_ranges)
    assert reading.received_bytes < reading.header.data_offset + (1 << 18)
    assert reading.server.sent_bytes <= len(content)
    assert len(reading.server.seen) == 1


@pytest.mark.parametrize(
    ("behave", "cause"),
    [
        (bad.answers(401), "HTTP 401"),
        (bad.answers(404), "no such file"),
        (bad.answers(410), "no such file"),
        (bad.answers(418), "HTTP 418"),
        (bad.answers(200), "is empty"),
        (bad.answers(302), "HTTP 302"),
        (bad.answers(302, {"Location": "file:///etc/passwd"}), "no web address"),
        (bad.answers(302, {"Location": "http://[bad"}), "no web address"),
        (bad.busy(99), "HTTP 503"),
        (bad.busy(99, retry_after=3600), "3,600 seconds"),
        (bad.busy(99, retry_after="soon"), "HTTP 503"),
        (bad.drops(0, times=99), "cannot be read from"),
        (bad.drops(10, times=999), "cannot be read from"),
        (bad.drops(100_000, times=999, whole=True), "cannot be read from"),
        (bad.one_byte_each_time, "hung up before the end"),
        (bad.shifts, "other bytes than it was asked for"),
        (bad.says_nothing_of_the_range, "does not say which bytes"),
        (bad.compresses, "compresses"),
        (bad.web_page, "a web page instead of the file"),
        (bad.does_not_say_how_long, "how long the file is"),
        (bad.circles, "redirects in circles"),
        (bad.trickles, "takes too long"),
        (bad.trickles_its_head, "takes too long"),
        (bad.says_continue_for_ever, "takes too long"),
        (bad.floods_with_headers, "cannot be read from"),
        (bad.silent, "does not answer in time"),
        (bad.no_http, "cannot be read from"),
    ],
)
def test_what_cannot_is_an_error_with_a_cause_and_a_next_step(
    behave: Behaviour, cause: str
) -> None:
    with pytest.raises(FormatError) as caught:
        read(MIDDLING, behave)
    assert cause in caught.value.cause
    assert caught.value.next_step.endswith(".")


@pytest.mark.parametrize("behave", [bad.other_total_each_time, bad.changes(2, MIDDLING)])
def test_a_file_that_changes_while_it_is_read_is_told_apart(behave: Behaviour) -> None:
    with pytest.raises(Changed, match="changes the file while it is read"):
        read(MIDDLING, behave)


def test_a_server_that_never_stops_is_hung_up_on() -> None:
    with pytest.raises(FormatError, match="no GGUF"):
        read(bytes(1 << 20), bad.pours_for_ever)


def test_nobody_there_is_unreachable() -> None:
    with serving({}) as server:
        url = f"{server.url}/m.gguf"
    with web_of(patience=QUICK) as web, pytest.raises(Unreachable, match="cannot be read from"):
        HttpSource(web, url)
