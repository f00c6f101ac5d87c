"""A model spread over several devices, beside llama.cpp's own dry run of the same words.

llama.cpp's server for other machines runs here several times, on the CPU: each is a device to it.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server_split import split_words
from modeldeck.engines.catalog.scan import model_at
from modeldeck.engines.fit.cards import reference_card
from modeldeck.engines.fit.shape import Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.split import shares, split_of
from modeldeck.engines.types import Plan
from tests.support.gguf_files import Tensor, write_gguf
from tests.support.llama_keys import keys_of
from tests.support.llama_lab import ask

pytestmark = pytest.mark.engines

MIB = 1 << 20
CARD = reference_card(64 << 30)
PLAN = Plan(context_tokens=4096)


@pytest.fixture(scope="module")
def devices(tools: Path) -> Iterator[list[str]]:
    """Addresses of three devices."""
    with contextlib.ExitStack() as ended:
        addresses: list[str] = []
        for _ in range(3):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port: int = free.getsockname()[1]
            words = [str(tools / "ggml-rpc-server"), "-H", "127.0.0.1", "-p", str(port)]
            quiet = subprocess.DEVNULL
            server = subprocess.Popen(words, stdout=quiet, stderr=quiet)
            ended.callback(server.wait)
            ended.callback(server.kill)
            for _ in range(100):
                with socket.socket() as there:
                    if there.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            addresses.append(f"127.0.0.1:{port}")
        yield addresses


def said(tools: Path, path: Path, devices: list[str], plan: Plan) -> list[list[int]]:
    """MiB of weights, caches and compute of each device, rounded down, in their order."""
    words = ["-m", str(path), "--rpc", ",".join(devices), "-fitp", "on", "-fa", "on"]
    words += ["-ngl", str(plan.gpu_layers), "-c", str(plan.context_tokens), "-ub", "512"]
    program = str(tools / "llama-fit-params")
    words += ["-np", "1", *split_words(plan)]
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=120)
    rows = [line.split() for line in done.stdout.splitlines()]
    found = [[int(size) for size in row[1:]] for row in rows if len(row) == 4 and row[0] != "Host"]
    assert found, done.stdout + done.stderr[-500:]
    return found


@pytest.mark.parametrize("name", ["llama", "gemma3", "qwen3moe", "qwen35", "deepseek2"])
@pytest.mark.parametrize("free", [(1, 1), (3, 1), (1, 2, 1), (5, 1, 1), (1, 0, 1)])
def test_each_device_has_what_its_share_says(
    tools: Path, tmp_path: Path, devices: list[str], name: str, free: tuple[int, ...]
) -> None:
    keys = keys_of(name)
    [answer] = ask(tools / "libllama.so", [(keys, [])])
    unique = {tensor[0]: tensor for tensor in answer.tensors}
    table = [Tensor(tensor, shape, kind) for tensor, _, kind, shape in unique.values()]
    path = write_gguf(tmp_path / "model.gguf", keys, table)
    header = model_at(path).header
    assert header is not None
    shape = shape_of(header)
    assert not isinstance(shape, Unjudged)
    cards = [CARD._replace(free_bytes=size << 30) for size in free]
    for k in (shape.layers, shape.layers - 1, 2):
        found = shares(shape, PLAN, cards, k)
        plan = PLAN._replace(gpu_layers=k + 1, split=split_of(found, "layer"))
        for share, (weights, cache, _) in zip(
            found, said(tools, path, devices[: len(free)], plan), strict=True
        ):
            bill = share.bill
            ours = bill.weights_gpu_bytes, bill.kv_gpu_bytes + bill.recurrent_gpu_bytes
            for size, theirs in zip(ours, (weights, cache), strict=True):
                assert theirs - 0.6 <= size / MIB <= theirs + 1.6, (k, plan.split, found)
