"""``modeldeck fit`` against servers that pour things at it: a cause, little memory, an end."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping

import pytest

from tests.support import misbehaviour as bad
from tests.support.file_server import Behaviour, Request, serving, well
from tests.support.gguf_files import header_bytes, llama_metadata, packed_string
from tests.support.hub import repository
from tests.support.machine import Machine
from tests.support.peak_memory import run_and_weigh
from tests.support.safetensors_files import LLAMA
from tests.support.terminal import modeldeck_command

MOST_BYTES = 200 << 20

MANY_STRINGS = (
    struct.pack("<4sIQQ", b"GGUF", 3, 10, 5)
    + packed_string("tokenizer.ggml.tokens")
    + struct.pack("<IIQ", 9, 8, 1 << 22)
)
CONFIG = json.dumps(LLAMA).encode()


async def zeros_for_ever(request: Request) -> None:
    """A file of a terabyte, zeros after what there is."""
    if request.range is None:
        await well(request)
        return
    first, last = request.range
    content = request.server.files[request.path]
    await request.answer(
        206,
        {"Content-Range": f"bytes {first}-{last}/{1 << 40}"},
        content[first : last + 1].ljust(last + 1 - first, b"\0"),
    )


Files = Mapping[str, bytes]
CASES: Mapping[str, tuple[str, Callable[[], Files], Behaviour, str]] = {
    "a listing of empty files": (
        "hf:o/n",
        lambda: {"/api/models/o/n": b'{"siblings":[' + b"{}," * 1_390_000 + b"{}]}"},
        well,
        "not sound",
    ),
    "a listing of brackets": (
        "hf:o/n",
        lambda: {"/api/models/o/n": b"[" * 4_000_000},
        well,
        "not sound",
    ),
    "an endless listing": (
        "hf:o/n",
        lambda: {"/api/models/o/n?blobs=true": b"{"},
        bad.pours_for_ever,
        "more than the 4 MiB",
    ),
    "an endless file": (
        "/m.gguf",
        lambda: {"/m.gguf": header_bytes(llama_metadata())},
        bad.pours_for_ever,
        "no weights",
    ),
    "four million strings": (
        "/m.gguf",
        lambda: {"/m.gguf": MANY_STRINGS},
        zeros_for_ever,
        "not sound",
    ),
    "a header of 100 MB": (
        "hf:o/n",
        lambda: repository(
            "o/n",
            {"config.json": CONFIG, "model.safetensors": struct.pack("<Q", 100_000_000) + b'{"'},
        ),
        zeros_for_ever,
        "not sound",
    ),
    "a nested configuration": (
        "hf:o/n",
        lambda: repository(
            "o/n", {"config.json": b'{"text_config":' * 200_000, "model.safetensors": b""}
        ),
        well,
        "not sound JSON",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_pours_is_held_up_in_little_memory(case: str, machine: Machine) -> None:
    target, files, behave, cause = CASES[case]
    with serving(files(), behave) as server:
        command = modeldeck_command(
            "fit", target if target.startswith("hf:") else server.url + target
        )
        ran = run_and_weigh(command, {**machine.environ(), "HF_ENDPOINT": server.url})
    assert cause in ran.errors
    assert "Traceback" not in ran.errors
    assert ran.code == 1
    assert ran.peak_bytes < MOST_BYTES
    assert server.sent_bytes < 160 << 20
